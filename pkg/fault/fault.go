// Package fault is the error that a step ends with: a cause, hints on what to
// do, and the class that decides the exit code.
package fault

import (
	"errors"
	"fmt"
)

// Class says what kind of thing went wrong. Its number is the exit code of the
// step; the numbers are part of the command-line contract and never reused.
type Class int

// The classes, in the order of the exit codes that docs/exit-codes.md lists.
const (
	None        Class = 0 // done
	Internal    Class = 1 // internal error or I/O
	Usage       Class = 2 // flags or arguments
	Input       Class = 3 // input refused: no module, no match, not a module, unsafe path, damaged archive
	Key         Class = 4 // key or certificate refused
	Unsigned    Class = 5 // a module without a signature
	Untrusted   Class = 6 // signature by an unknown key, or of a kind the target kernel cannot check
	Damaged     Class = 7 // tampered, malformed, or signed after compression
	WrongKernel Class = 8 // built for another kernel or architecture
	Registry    Class = 9 // registry or authentication
)

// Error is a cause with its class and, optionally, hints: each one sentence
// that tells the reader what to do next.
type Error struct {
	Class Class
	Err   error
	Hints []string
}

// New makes an Error of class c; format and args are those of fmt.Errorf, so
// that %w keeps the cause.
func New(c Class, format string, args ...any) *Error {
	return &Error{Class: c, Err: fmt.Errorf(format, args...)}
}

// Hint adds a hint and returns e.
func (e *Error) Hint(format string, args ...any) *Error {
	e.Hints = append(e.Hints, fmt.Sprintf(format, args...))
	return e
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// ClassOf is the class of the outermost Error in err's chain, Internal for an
// error without one and None for nil.
func ClassOf(err error) Class {
	if err == nil {
		return None
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return Internal
}

// HintsOf collects the hints of every Error in err's chain, outermost first.
func HintsOf(err error) []string {
	var hints []string
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			break
		}
		hints = append(hints, e.Hints...)
		err = e.Err
	}
	return hints
}
