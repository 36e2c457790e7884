package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kmodseal/kmodseal/e2e/secureboot/wire"
)

const efivarsDir = "/sys/firmware/efi/efivars"

// state reports what decides how strict the kernel is, and what it said of keys at boot.
func state(out io.Writer) {
	wire.Fact(out, "KERNEL", first("/proc/sys/kernel/osrelease"))
	wire.Fact(out, "LOCKDOWN", first("/sys/kernel/security/lockdown"))
	wire.Fact(out, "SIG_ENFORCE", first("/sys/module/module/parameters/sig_enforce"))
	for _, l := range messages() {
		for _, word := range []string{"ecure boot", "ecureboot", "ockdown:", "integrity:", "X.509", "blacklist"} {
			if strings.Contains(l, word) {
				wire.Note(out, "BOOT %s", l)
				break
			}
		}
	}
}

func efivars(out io.Writer) {
	mount("efivarfs", efivarsDir, "efivarfs")
	for _, name := range []string{"SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", "SetupMode-8be4df61-93ca-11d2-aa0d-00e098032b8c"} {
		b, err := os.ReadFile(filepath.Join(efivarsDir, name))
		if err == nil && len(b) > 4 {
			short, _, _ := strings.Cut(name, "-")
			wire.Fact(out, short, hex.EncodeToString(b[4:]))
		}
	}
}

// keyrings reports the members of the kernel's own keyrings.
func keyrings(out io.Writer) {
	b, err := os.ReadFile("/proc/keys")
	if err != nil {
		wire.Note(out, "keys: %v", err)
		return
	}
	names, rings := map[uint32]string{}, []uint32{}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 9 {
			continue
		}
		n, err := strconv.ParseUint(f[0], 16, 32)
		if err != nil {
			continue
		}
		id := uint32(n)
		names[id] = strings.Join(f[8:], " ")
		if f[7] == "keyring" && slices.Contains([]string{".builtin_trusted_keys:", ".machine:", ".platform:"}, f[8]) {
			rings = append(rings, id)
		}
	}
	for _, ring := range rings {
		for _, key := range members(ring) {
			wire.Note(out, "RING %s %s", names[ring], names[key])
		}
	}
}

func members(ring uint32) []uint32 {
	buf := make([]byte, 1<<14)
	n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, int(ring), buf, 0)
	if err != nil || n > len(buf) {
		return nil
	}
	var ids []uint32
	for i := 0; i+4 <= n; i += 4 {
		ids = append(ids, uint32(buf[i])|uint32(buf[i+1])<<8|uint32(buf[i+2])<<16|uint32(buf[i+3])<<24)
	}
	return ids
}

// mokState joins the names of the certificates that shim reports as enrolled, or is "none".
func mokState(files string) string {
	enrolled, _ := os.ReadFile(filepath.Join(efivarsDir, "MokListRT-605dab50-e046-4300-abb6-3dd810dd8b23"))
	var have []string
	for _, f := range strings.Fields(files) {
		cert, err := os.ReadFile(f)
		if err == nil && bytes.Contains(enrolled, cert) {
			have = append(have, strings.TrimSuffix(filepath.Base(f), ".der"))
		}
	}
	if len(have) == 0 {
		return "none"
	}
	return strings.Join(have, "+")
}

// shell runs the commands of a file, where the certificates are, and reports what they say.
func shell(out io.Writer, script, mok string) {
	cmd := exec.Command("/bin/sh", "-e", script)
	cmd.Dir = "/m"
	cmd.Env = []string{"PATH=/bin", "HOME=/tmp"}
	b, err := cmd.CombinedOutput()
	name := mok + ":" + filepath.Base(script)
	for line := range strings.Lines(string(b)) {
		wire.Note(out, "%s: %s", name, strings.Map(wire.Printable, strings.TrimSpace(line)))
	}
	wire.Fact(out, name, fmt.Sprint(err))
}
