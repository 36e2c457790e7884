// Package wire is what host and guest of the Secure Boot test say to each other:
// the job list that the host puts into the initrd, and the answers that the
// guest writes on its serial port.
package wire

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// JobFile is the job list in the guest.
const JobFile = "/jobs.tsv"

// Ways to load a module, and other jobs.
const (
	Finit      = "finit"    // finit_module(fd, "", 0)
	FinitZ     = "finit-z"  // finit_module(fd, "", MODULE_INIT_COMPRESSED_FILE)
	Init       = "init"     // init_module(buffer)
	Keep       = "keep"     // as finit, and the module stays
	Insmod     = "insmod"   // the distribution's insmod
	Remove     = "remove"   // delete_module(Path)
	Fuzz       = "fuzz"     // Arg = seed:count; mutations of Path, each loaded as finit does
	Efivars    = "efivars"  // report the firmware's variables
	Keyrings   = "keyrings" // report the kernel's keyrings
	MokState   = "mokstate" // names of the certificates in Path that are enrolled go in front of every further answer
	MokStep    = "mokstep"  // if that state is Arg, run the commands of Path with a shell and reboot
	Shell      = "shell"    // run Path with a shell and report what it says
	ModuleName = "__"       // a module file is called NAME__CASE.ko
	Skipped    = "SKIPPED"  // result of a job that needs what is not there
	OK         = "OK"       // result of a module that loaded
	InsmodFail = "FAIL"     // result of an insmod that said no
	begin      = "@@BEGIN"  // first line of the guest
	end        = "@@END"    // last line; a log without it is no result
)

// Job is one line of the job list.
type Job struct{ Name, Method, Path, Arg string }

// WriteJobs writes the job list.
func WriteJobs(w io.Writer, jobs []Job) error {
	for _, j := range jobs {
		if _, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", j.Name, j.Method, j.Path, j.Arg); err != nil {
			return err
		}
	}
	return nil
}

// ReadJobs reads the job list.
func ReadJobs(r io.Reader) ([]Job, error) {
	var jobs []Job
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		f := strings.Split(sc.Text(), "\t")
		if len(f) != 4 {
			return nil, fmt.Errorf("job %q: %d fields", sc.Text(), len(f))
		}
		jobs = append(jobs, Job{f[0], f[1], f[2], f[3]})
	}
	return jobs, sc.Err()
}

// Answer is what the kernel said to one job.
type Answer struct {
	Name   string
	Result string   // OK, an errno's name, FAIL or SKIPPED
	Lines  []string // kernel messages, without time stamps
}

// Log is all that a guest wrote.
type Log struct {
	Complete bool              // begun and ended
	Facts    map[string]string // KERNEL, LOCKDOWN, SIG_ENFORCE, ...
	Answers  map[string]Answer // by job name; a mutation's is BASE/INDEX
	Order    []string          // job names as they ran
	Notes    []string          // everything else
}

// Begin starts the guest's log.
func Begin(w io.Writer) { fmt.Fprintln(w, begin) }

// End completes it.
func End(w io.Writer) { fmt.Fprintln(w, end) }

// Fact writes one property of the running kernel.
func Fact(w io.Writer, name, value string) { fmt.Fprintf(w, "@@FACT\t%s\t%s\n", name, value) }

// Write writes an answer as one line.
func (a Answer) Write(w io.Writer) {
	fmt.Fprintf(w, "@@CASE\t%s\t%s\t%s\n", a.Name, a.Result, strings.Join(a.Lines, "\x1f"))
}

// Note writes a line for people.
func Note(w io.Writer, format string, args ...any) {
	fmt.Fprintf(w, "@@NOTE\t"+format+"\n", args...)
}

// ReadLog parses the guest's log; what is cut off shows as Complete == false.
func ReadLog(r io.Reader) (*Log, error) {
	log := &Log{Facts: map[string]string{}, Answers: map[string]Answer{}}
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<20)
	begun := false
	for sc.Scan() {
		line := strings.TrimRight(sc.Text(), "\r")
		i := strings.Index(line, "@@")
		if i < 0 {
			continue
		}
		line = line[i:]
		begun = begun || line == begin
		log.Complete = log.Complete || begun && line == end
		log.line(strings.Split(line, "\t"))
	}
	return log, sc.Err()
}

func (log *Log) line(f []string) {
	switch {
	case f[0] == "@@FACT" && len(f) == 3:
		log.Facts[f[1]] = f[2]
	case f[0] == "@@CASE" && len(f) == 4:
		log.Answers[f[1]] = Answer{Name: f[1], Result: f[2], Lines: split(f[3])}
		log.Order = append(log.Order, f[1])
	case f[0] == "@@NOTE":
		log.Notes = append(log.Notes, strings.Join(f[1:], " "))
	}
}

func split(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "\x1f")
}

// Verdict are the lines that tell why a module was refused: those without news
// that the kernel has once a boot, or about a module that did load.
func (a Answer) Verdict() []string {
	if len(a.Lines) == 0 {
		return nil
	}
	news := regexp.MustCompile(`init ran|loading out-of-tree module|module verification failed: signature|callbacks suppressed|module license .*taints kernel|: kernel tainted\.$|^alg: No test for |Disabling lock debugging|^(clocksource|hrtimer|rcu|workqueue|watchdog|sched|sched_clock|tsc|random|perf): |^TSC found unstable |^(mc|videodev): Linux |^v4l2-?loopback driver `)
	var lines []string
	for _, l := range a.Lines {
		if !news.MatchString(l) {
			lines = append(lines, l)
		}
	}
	return lines
}

// Printable keeps a line in one line and in ASCII (for strings.Map).
func Printable(r rune) rune {
	if r < ' ' || r > '~' {
		return '?'
	}
	return r
}
