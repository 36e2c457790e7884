// Command bench compares kmodseal with what a user would do instead, pair by
// pair in one run: signing against a sign-file loop, and the whole flow from
// registry to registry against buildah running KMM's three-stage Dockerfile and
// against a shell script. It prints ratios; absolute times are this machine's.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

type bench struct {
	bin, dir string
	rounds   int
	baseMB   int
	out      *tabwriter.Writer
}

func main() {
	b := &bench{out: tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)}
	flag.StringVar(&b.bin, "bin", "bin", "folder of the step binaries")
	flag.IntVar(&b.rounds, "rounds", 3, "runs of each command; the fastest counts")
	flag.IntVar(&b.baseMB, "base", 1200, "megabytes of files in the base layer")
	only := flag.String("only", "", "sign or flow")
	flag.Parse()
	if err := b.run(*only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b *bench) run(only string) (err error) {
	if b.bin, err = filepath.Abs(b.bin); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "kmodseal-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if only != "flow" {
		if err := b.signing(); err != nil {
			return err
		}
	}
	if only != "sign" {
		if err := b.flow(); err != nil {
			return err
		}
	}
	return nil
}

// sample is one run of a command.
type sample struct {
	wall, cpu time.Duration
	rss       rss
}

// rss is the memory of the largest of a command's processes, in bytes. A
// process inherits the peak of the one that starts it (exec_mmap in fs/exec.c):
// smaller ones cannot be told from that.
type rss struct {
	peak int64
	own  bool // it is the command's
}

func (r rss) String() string {
	if r.own {
		return fmt.Sprintf("%d MiB", r.peak>>20)
	}
	return fmt.Sprintf("under %d MiB", r.peak>>20+1)
}

// contender is a way to do the job: prepare is not timed.
type contender struct {
	name    string
	prepare func() error
	command []string
}

// compare runs the contenders in turn, rounds times over, and prints the
// fastest run of each and how many times longer than the first one's it took.
func (b *bench) compare(title string, cs []contender) error {
	best := make([]sample, len(cs))
	for range b.rounds {
		for i, c := range cs {
			s, err := b.once(c)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", title, c.name, err)
			}
			if best[i].wall == 0 || s.wall < best[i].wall {
				best[i] = s
			}
		}
	}
	fmt.Fprintf(b.out, "%s\twall\tCPU\tpeak RSS\tagainst the first\n", title)
	for i, c := range cs {
		fmt.Fprintf(b.out, "  %s\t%.2f s\t%.2f s\t%s\t%.1fx\n", c.name, best[i].wall.Seconds(),
			best[i].cpu.Seconds(), best[i].rss, float64(best[i].wall)/float64(best[0].wall))
	}
	return b.out.Flush()
}

func (b *bench) once(c contender) (sample, error) {
	if c.prepare != nil {
		if err := c.prepare(); err != nil {
			return sample{}, err
		}
	}
	cmd := exec.Command(c.command[0], c.command[1:]...)
	cmd.Dir = b.dir
	start := time.Now()
	out, err := cmd.CombinedOutput()
	wall := time.Since(start)
	if err != nil {
		return sample{}, fmt.Errorf("%w\n%s", err, tail(string(out)))
	}
	var self syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &self); err != nil {
		return sample{}, err
	}
	peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
	return sample{wall, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), rss{peak << 10, peak > self.Maxrss}}, nil
}

func tail(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// newest is the last match of a glob.
func newest(glob string) (string, error) {
	found, err := filepath.Glob(glob)
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("nothing matches %s: run e2e/oracles.sh", glob)
	}
	sort.Strings(found)
	return found[len(found)-1], nil
}
