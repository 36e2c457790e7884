// Package cases makes the modules that the Secure Boot test loads.
package cases

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"github.com/kmodseal/kmodseal/e2e/secureboot/pki"
	"github.com/kmodseal/kmodseal/e2e/secureboot/wire"
)

// Case is one module file and the way it is loaded.
type Case struct {
	Group, Name string
	Method      string // see wire
	Module      string // name of the module inside
	Ext         string // of the file: .ko, .ko.xz, ...
	Bytes       []byte
	// Before are cases whose modules are loaded first and taken out afterwards.
	Before []string
	// Unpredictable says why no prediction from the file alone is possible; empty: it is.
	Unpredictable string
}

// File is the case's file name in the guest.
func (c Case) File() string { return c.Module + wire.ModuleName + c.Name + c.Ext }

// Input is what the cases are made from; the modules are unsigned.
type Input struct {
	Probes  map[string][]byte // by name, see probe
	Foreign []byte            // sbprobe for another kernel
	Distro  map[string][]byte // the distribution's modules, signed by it: intree, or none
}

// Set is all cases of one kernel.
type Set struct {
	Trust     *Trust
	Cases     []Case
	BlockHash [][32]byte // SHA-256 of whole files, for MokListX
}

// Case gives a case by name; it panics on a name that is none.
func (s *Set) Case(name string) Case {
	for _, c := range s.Cases {
		if c.Name == name {
			return c
		}
	}
	panic("cases: no case " + name)
}

// maker collects cases.
type maker struct {
	in    Input
	trust *Trust
	group string
	out   []Case
	block [][32]byte
}

// Make makes all cases. The same input gives the same bytes, but for RSA-PSS.
func Make(in Input, t *Trust) *Set {
	m := &maker{in: in, trust: t}
	for _, g := range []struct {
		name string
		make func()
	}{
		{"keys", m.keys},
		{"hashes", m.hashes},
		{"certificates", m.certificates},
		{"chains", m.chains},
		{"forms", m.forms},
		{"signers", m.signers},
		{"algorithms", m.algorithms},
		{"encoding", m.encoding},
		{"attached", m.attached},
		{"trailer", m.trailer},
		{"tampered", m.tampered},
		{"stacked", m.stacked},
		{"codec", m.codecs},
		{"kernel", m.kernels},
		{"symbols", m.symbols},
		{"named", m.named},
		{"distro", m.distro},
	} {
		m.group = g.name
		g.make()
	}
	return &Set{Trust: t, Cases: m.out, BlockHash: m.block}
}

func (m *maker) probe() []byte { return m.in.Probes["sbprobe"] }

func (m *maker) cert(name string) *pki.Cert { return m.trust.Cert(name) }

// add adds a case of the probe as a plain file.
func (m *maker) add(name string, module []byte) *Case {
	return m.put(Case{Name: name, Method: wire.Finit, Module: "sbprobe", Ext: ".ko", Bytes: module})
}

func (m *maker) put(c Case) *Case {
	c.Group = m.group
	m.out = append(m.out, c)
	return &m.out[len(m.out)-1]
}

// signed adds the probe as sign-file would sign it.
func (m *maker) signed(name, cert, hash string) {
	m.add(name, sign(m.probe(), m.cert(cert), hash))
}

// message adds the probe under a message of one's own.
func (m *maker) message(name string, msg pki.Message) {
	m.add(name, attach(m.probe(), msg.Build(m.probe())))
}

func (m *maker) blocked(module []byte) { m.block = append(m.block, sha256.Sum256(module)) }

const marker = "~Module signature appended~\n"

func sign(body []byte, c *pki.Cert, hash string) []byte { return attach(body, pki.Sign(body, c, hash)) }

// attach puts a message behind a module: message, twelve bytes of struct
// module_signature with id_type 2 and the big-endian length, marker.
func attach(body, msg []byte) []byte {
	tail := make([]byte, 12)
	tail[2] = 2
	binary.BigEndian.PutUint32(tail[8:], uint32(len(msg)))
	return bytes.Join([][]byte{body, msg, tail, []byte(marker)}, nil)
}

// tailAt is the offset of struct module_signature in a signed module.
func tailAt(module []byte) int { return len(module) - len(marker) - 12 }

// changed is a copy with one change.
func changed(b []byte, change func([]byte)) []byte {
	b = bytes.Clone(b)
	change(b)
	return b
}
