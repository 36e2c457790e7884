package varstore

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// Vendors and types of variables and signatures, in the textual form of a GUID.
const (
	authStore  = "aaf32c78-947b-439a-a180-2e144ec37792"
	shimVendor = "605dab50-e046-4300-abb6-3dd810dd8b23"
	securityDB = "d719b2cb-3d3a-4596-a3bc-dad00e67656f"
	certX509   = "a5c059a1-94e4-4aa7-87b5-ab155c2bf072"
	certSHA256 = "c1c41626-504c-4092-aca9-41f936934328"
	sbEnable   = "f0a30bc7-af08-4556-99c4-001009c93a44"
	owner      = "9bd1a3f2-58c7-4f0e-a6b5-3f3b3c1f7d01" // of our entries; any
)

// guid gives the bytes of an EFI_GUID: the first three groups are little endian.
func guid(s string) [16]byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(b) != 16 {
		panic("varstore: guid " + s)
	}
	return [16]byte{b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]}
}

// EnrolMOK puts DER certificates behind those in MokList, as MokManager does.
func (s *Store) EnrolMOK(certs ...[]byte) {
	s.enrol("MokList", shimVendor, NonVolatile|BootService, certs)
}

// RevokeMOK puts DER certificates into MokListX.
func (s *Store) RevokeMOK(certs ...[]byte) {
	s.enrol("MokListX", shimVendor, NonVolatile|BootService, certs)
}

// RevokeHash puts a SHA-256 into MokListX.
func (s *Store) RevokeHash(sum [32]byte) {
	data := append(s.Get("MokListX", shimVendor), list(certSHA256, sum[:])...)
	s.Put("MokListX", shimVendor, NonVolatile|BootService, data)
}

// EnrolDB puts DER certificates behind those in the firmware's db. No signature
// is needed: the flash file is edited, not the running firmware.
func (s *Store) EnrolDB(certs ...[]byte) {
	s.enrol("db", securityDB, NonVolatile|BootService|Runtime|TimeAuth, certs)
}

// UntrustMOK leaves what `mokutil --untrust-mok` and MokManager do: shim then
// does not tell the kernel to trust the MOK list.
func (s *Store) UntrustMOK() {
	s.Put("MokListTrusted", shimVendor, NonVolatile|BootService, []byte{1})
}

// SecureBootOff clears the switch that OVMF's setup screen has for it.
func (s *Store) SecureBootOff() {
	s.Put("SecureBootEnable", sbEnable, NonVolatile|BootService, []byte{0})
}

func (s *Store) enrol(name, vendor string, attrs uint32, certs [][]byte) {
	if len(certs) == 0 {
		return
	}
	data := s.Get(name, vendor)
	for _, c := range certs {
		data = append(data, list(certX509, c)...)
	}
	s.Put(name, vendor, attrs, data)
}

// list is one EFI_SIGNATURE_LIST with one entry (UEFI section 32.4.1): type,
// list size, header size 0, entry size, then owner and payload.
func list(kind string, payload []byte) []byte {
	k, o := guid(kind), guid(owner)
	b := append([]byte{}, k[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(28+16+len(payload)))
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(16+len(payload)))
	b = append(b, o[:]...)
	return append(b, payload...)
}
