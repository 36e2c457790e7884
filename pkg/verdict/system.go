package verdict

import (
	"io/fs"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/efisig"
	"github.com/kmodseal/kmodseal/pkg/fault"
)

// System is what the machine itself says of its trust.
type System struct {
	Trust
	SecureBoot     Switch
	SigEnforce     Switch
	Lockdown       Switch
	MokListTrusted Switch
	Keys           []string // descriptions of the X.509 keys in the kernel, from /proc/keys
}

// Where the machine keeps it. shim mirrors its variables into mok-variables,
// which has no attributes and holds lists of any size.
const (
	efivars  = "sys/firmware/efi/efivars/"
	mokvars  = "sys/firmware/efi/mok-variables/"
	shimGUID = "-605dab50-e046-4300-abb6-3dd810dd8b23"
	dbGUID   = "-d719b2cb-3d3a-4596-a3bc-dad00e67656f"
	efiGlobe = "-8be4df61-93ca-11d2-aa0d-00e098032b8c"
)

// LoadSystem reads the MOK list, db, their revocation lists and the switches
// of the machine whose file system root is. Without EFI it has nothing to say
// and returns an error of fault class Input.
func LoadSystem(root fs.FS) (*System, error) {
	if _, err := fs.Stat(root, "sys/firmware/efi"); err != nil {
		return nil, fault.New(fault.Input, "read the machine's MOK list: %w", err).
			Hint("this machine was not started by EFI, or /sys is not mounted here: give the certificates as files")
	}
	s := &System{MokListTrusted: Off}
	for _, v := range []struct {
		names   []string
		parse   func(string, []byte, Place) (Trust, error)
		where   Place
		trusted bool
	}{
		{[]string{mokvars + "MokListRT", efivars + "MokListRT" + shimGUID}, ParseTrust, MOK, true},
		{[]string{efivars + "db" + dbGUID}, ParseTrust, DB, true},
		{[]string{mokvars + "MokListXRT", efivars + "MokListXRT" + shimGUID}, ParseRevoked, MOK, false},
		{[]string{efivars + "dbx" + dbGUID}, ParseRevoked, DB, false},
	} {
		t, err := firstVariable(root, v.names, v.parse, v.where)
		if err != nil {
			return nil, err
		}
		s.Anchors, s.Revoked = append(s.Anchors, t.Anchors...), append(s.Revoked, t.Revoked...)
	}
	s.switches(root)
	return s, nil
}

// firstVariable reads the first of names that is there and not empty.
func firstVariable(root fs.FS, names []string, parse func(string, []byte, Place) (Trust, error), where Place) (Trust, error) {
	for _, n := range names {
		data, err := readFile(root, n, maxTrust)
		if err != nil || len(data) <= efisig.Attributes {
			continue
		}
		return parse("/"+n, data, where)
	}
	return Trust{}, nil
}

func (s *System) switches(root fs.FS) {
	if b, err := readFile(root, efivars+"SecureBoot"+efiGlobe, 16); err == nil && len(b) == efisig.Attributes+1 {
		s.SecureBoot = position(b[efisig.Attributes] == 1)
	}
	if b, err := readFile(root, "sys/module/module/parameters/sig_enforce", 16); err == nil {
		s.SigEnforce = position(strings.HasPrefix(string(b), "Y"))
	}
	if b, err := readFile(root, "sys/kernel/security/lockdown", 256); err == nil {
		s.Lockdown = position(!strings.Contains(string(b), "[none]"))
	}
	for _, n := range []string{mokvars + "MokListTrustedRT", efivars + "MokListTrustedRT" + shimGUID} {
		if _, err := fs.Stat(root, n); err == nil {
			s.MokListTrusted = On
		}
	}
	s.keys(root)
}

// keys reads lines such as
//
//	2b7b1cf8 I------ 1 perm 1f030000 0 0 asymmetri NAME: KEYID: X509.rsa 1234abcd []
func (s *System) keys(root fs.FS) {
	b, err := readFile(root, "proc/keys", maxTrust)
	if err != nil {
		return
	}
	for line := range strings.Lines(string(b)) {
		if _, rest, ok := strings.Cut(line, " asymmetri "); ok {
			name, _, _ := strings.Cut(strings.TrimSpace(rest), ": X509")
			s.Keys = append(s.Keys, name)
		}
	}
}

func position(on bool) Switch {
	if on {
		return On
	}
	return Off
}
