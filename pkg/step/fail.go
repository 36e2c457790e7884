package step

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/report"
)

// failer writes the error that a step ends with.
type failer struct {
	step string
	w    io.Writer
	json bool
}

// end writes err, if any, with the usage line unless that is empty, and gives
// the exit code.
func (f *failer) end(err error, usage string) int {
	if err == nil {
		return int(fault.None)
	}
	class, hints := fault.ClassOf(err), append(fault.HintsOf(err), systemHints(err)...)
	if class == fault.Usage && len(hints) == 0 {
		hints = append(hints, f.step+" --help lists the flags")
	}
	if f.json {
		f.object(err, class, hints)
		return int(class)
	}
	fmt.Fprintf(f.w, "%s: %s\n", f.step, report.Plain(err.Error()))
	if usage != "" {
		fmt.Fprintln(f.w, usage)
	}
	for _, h := range hints {
		fmt.Fprintf(f.w, "hint: %s\n", report.Plain(h))
	}
	return int(class)
}

// systemHints is what to do about an answer of the operating system that any
// step can get anywhere.
func systemHints(err error) []string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return []string{"make room there, or name a place on another file system"}
	case fault.ClassOf(err) == fault.Internal && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)):
		return []string{"the user that runs the step has to be able to write there"}
	}
	return nil
}

func (f *failer) object(err error, class fault.Class, hints []string) {
	for i := range hints {
		hints[i] = report.Plain(hints[i])
	}
	json.NewEncoder(f.w).Encode(struct { //nolint:errcheck // stderr: nowhere left to say it
		Level    string   `json:"level"`
		Message  string   `json:"msg"`
		Step     string   `json:"step"`
		ExitCode int      `json:"exitCode"`
		Hints    []string `json:"hints,omitempty"`
	}{"ERROR", report.Plain(err.Error()), f.step, int(class), hints})
}

// abort ends a step that could not even start.
func abort(cmd Command, err error) int {
	f := &failer{step: cmd.About().Name, w: os.Stderr}
	return f.end(err, "")
}

// interrupted is err, or a plain word where a signal is the cause.
func interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}

// guard turns a panic into an error that says where, and nothing of the data:
// a panic's value can hold bytes of what was worked on.
func guard(run func() error) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		what := fmt.Sprintf("%T", p)
		var re runtime.Error
		if e, ok := p.(error); ok && errors.As(e, &re) {
			what = re.Error()
		}
		err = fault.New(fault.Internal, "bug: %s at %s", what, place()).
			Hint("please report this line and the version at https://github.com/kmodseal/kmodseal/issues")
	}()
	return run()
}

// place is the file and line of the frame that panicked.
func place() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, "runtime.") || !more {
			return fmt.Sprintf("%s:%d", filepath.Base(f.File), f.Line)
		}
	}
}
