//go:build !linux

package keys

// Harden does nothing on this system.
func Harden() error { return nil }
