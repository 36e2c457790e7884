package step

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"

	"github.com/kmodseal/kmodseal/pkg/ci"
	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/report"
)

// annotations bounds those of one run: GitHub shows ten errors a step.
const annotations = 9

// Session is what a step has besides its flags: the world around it, and where
// it leaves what it found.
type Session struct {
	Stdin   io.Reader
	Getenv  func(string) (string, bool)
	Log     *slog.Logger
	Report  *report.Report // set by the step; printed on stdout
	Body    []byte         // set by a step without a Report: goes to stdout as it is
	Results ci.Results     // set by the step; published at its end

	common   *Common
	stdout   io.Writer
	host     *ci.Host
	progress *progress
}

func newSession(cmd Command, getenv func(string) (string, bool), stdin io.Reader, stdout, stderr io.Writer) *Session {
	c := cmd.shared()
	s := &Session{
		Stdin: stdin, Getenv: getenv, common: c, stdout: stdout,
		Log: newLog(stderr, cmd.About().Name, c.LogFormat == "json", c.Quiet),
	}
	s.progress = newProgress(stderr, s.Log, c.Quiet || c.LogFormat == "json")
	s.host = &ci.Host{ResultsDir: c.ResultsDir, Dotenv: c.Dotenv, Getenv: getenv, Commands: stderr, Warn: s.Warn}
	return s
}

// Progress is for the Options of the packages: phase is a short text, done of
// total are bytes or pieces. It may be called from several goroutines.
func (s *Session) Progress(phase string, done, total int64) { s.progress.update(phase, done, total) }

// Warn is for the Options of the packages: one line on stderr, and an
// annotation on GitHub.
func (s *Session) Warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.progress.clear()
	s.Log.Warn(text)
	if err := s.host.Warning(ci.Annotation{Message: text}); err != nil {
		s.Log.Warn(err.Error())
	}
}

// Mask hides a secret in GitHub's log and prints it nowhere else.
func (s *Session) Mask(secret []byte) error { return s.host.Mask(string(secret)) }

// Count sets a result that is a number.
func (s *Session) Count(name string, n int) { s.Results.Set(name, strconv.Itoa(n)) }

// finish prints the report, publishes the results and annotates; err is what
// the step ended with and goes before what finish itself meets.
func (s *Session) finish(err error) error {
	s.progress.clear()
	own := errors.Join(s.print(err), s.host.Publish(s.Results))
	if s.Report != nil {
		md := &strings.Builder{}
		own = errors.Join(own, report.Markdown(md, s.Report), s.host.Summary(md.String()))
	}
	if err == nil {
		err = own
	} else if own != nil {
		s.Log.Warn(own.Error())
	}
	if e := s.annotate(err); e != nil {
		s.Log.Warn(e.Error())
	}
	return err
}

// print writes the report to stdout, unless nobody wants it.
func (s *Session) print(err error) error {
	r := s.Report
	if r == nil {
		_, err := s.stdout.Write(s.Body)
		return err
	}
	r.ExitCode = int(fault.ClassOf(err))
	if s.common.Output == "json" {
		return report.JSON(s.stdout, r)
	}
	if s.common.Quiet {
		return nil
	}
	return report.Table(s.stdout, r, s.style())
}

func (s *Session) style() report.Style {
	f, ok := s.stdout.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return report.Style{}
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		width = 0
	}
	none, _ := s.Getenv("NO_COLOR")
	return report.Style{Width: width, Color: none == ""}
}

// annotate tells GitHub of each module that would not load, and of err.
func (s *Session) annotate(err error) error {
	if err == nil {
		return nil
	}
	var errs []error
	if s.Report != nil {
		errs = append(errs, s.annotateModules())
	}
	return errors.Join(append(errs, announce(s.host, s.Log.Handler().(*logHandler).step, err))...)
}

// announce tells GitHub of the error that a step ends with.
func announce(h *ci.Host, step string, err error) error {
	if err == nil {
		return nil
	}
	return h.Error(ci.Annotation{Title: step, Message: err.Error(), Hints: fault.HintsOf(err)})
}

func (s *Session) annotateModules() error {
	n := 0
	for i := range s.Report.Modules {
		m := &s.Report.Modules[i]
		if !m.Bad() {
			continue
		}
		if n++; n > annotations {
			break
		}
		a := ci.Annotation{File: m.Path, Title: m.Verdict, Message: m.Reason}
		if m.Hint != "" {
			a.Hints = []string{m.Hint}
		}
		if err := s.host.Error(a); err != nil {
			return err
		}
	}
	return nil
}
