// Package manifest is the kmods folder that the steps hand to each other:
// kmods.json, described here, and the modules below modules/.
package manifest

// Schema is the version that kmods.json carries; any other is refused.
const Schema = "kmodseal/v1"

// FileName is the manifest's name in the kmods folder.
const FileName = "kmods.json"

// ModulesDir is the folder of the modules in the kmods folder:
// modules/<os>-<arch>[-<variant>]/<path in the image>.
const ModulesDir = "modules"

// Manifest says which modules were taken from which source, and after
// sign-kmods, who signed them.
type Manifest struct {
	Schema    string     `json:"schema"`
	Source    Source     `json:"source"`
	Platforms []Platform `json:"platforms"`
	Modules   []Module   `json:"modules"` // sorted by platform, then path
}

// Source is where the modules come from.
type Source struct {
	Name   string `json:"name"`   // SRC as the user gave it
	Kind   string `json:"kind"`   // docker, oci, oci-archive, docker-archive or dir
	Digest string `json:"digest"` // sha256:<hex> of the index or manifest; of a folder, of its canonical listing
	Index  bool   `json:"index"`  // the digest names an index
}

// Platform is one image of the source.
type Platform struct {
	Platform string   `json:"platform"`         // os/arch[/variant]
	Digest   string   `json:"digest,omitempty"` // of the image's manifest; empty for a folder
	Layers   []string `json:"layers,omitempty"` // digests, lowest first
	// Shadowed are copies of modules that a later layer replaces or deletes:
	// not in the flattened view, but still in the image's bytes.
	Shadowed []Copy `json:"shadowed,omitempty"`
}

// Copy is a module file in a layer.
type Copy struct {
	Path  string `json:"path"`
	Layer string `json:"layer"`
}

// Module is one module of the flattened view.
type Module struct {
	Path       string      `json:"path"` // in the image, slash-separated, no leading slash
	Platform   string      `json:"platform"`
	File       string      `json:"file"`            // in the kmods folder, slash-separated
	Layer      string      `json:"layer,omitempty"` // digest of the layer that holds it; empty for a folder
	Header     Header      `json:"header"`
	HardLinks  []string    `json:"hardLinks,omitempty"` // other names of the same file, sorted
	Symlinks   []string    `json:"symlinks,omitempty"`  // links that lead to it, sorted
	Codec      string      `json:"codec"`               // none, gzip, xz or zstd: by content, not by name
	Stored     Blob        `json:"stored"`              // the file as the source has it
	Plain      Blob        `json:"plain"`               // the same decompressed
	Machine    string      `json:"machine"`             // ELF machine as a GOARCH word: amd64, arm64, ppc64le, ...
	Name       string      `json:"name"`                // .modinfo name=
	Vermagic   string      `json:"vermagic"`            // .modinfo vermagic=
	Signatures []Signature `json:"signatures"`          // found in the source, outermost first; empty: unsigned
	Signed     *Signed     `json:"signed,omitempty"`    // set by sign-kmods
}

// Release is the kernel release that m was built for: the first word of its
// vermagic.
func (m *Module) Release() string {
	for i, c := range m.Vermagic {
		if c == ' ' {
			return m.Vermagic[:i]
		}
	}
	return m.Vermagic
}

// Header holds what a tar header says of the module beyond its name and size.
type Header struct {
	Mode    int64             `json:"mode"` // permission bits with setuid, setgid, sticky
	UID     int               `json:"uid"`
	GID     int               `json:"gid"`
	Uname   string            `json:"uname,omitempty"`
	Gname   string            `json:"gname,omitempty"`
	ModTime string            `json:"modTime"`          // RFC 3339, UTC, nanoseconds where the source has them
	Xattrs  map[string]string `json:"xattrs,omitempty"` // name to base64 of the value
}

// Blob is a size in bytes and a lower-case hex SHA-256.
type Blob struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Signature is what an appended signature says of itself; nothing in it is
// verified.
type Signature struct {
	Signer string `json:"signer"` // CN of the issuer in the signature, else its subject key id
	Serial string `json:"serial,omitempty"`
	KeyID  string `json:"keyId,omitempty"`
	Hash   string `json:"hash"`
}

// Actions of sign-kmods.
const (
	ActionSigned   = "signed"   // was unsigned
	ActionReplaced = "replaced" // earlier signatures were taken off
	ActionAppended = "appended" // put behind an earlier signature
	ActionKept     = "kept"     // left as it was: --on-signed keep
)

// Signed is what sign-kmods did to a module.
type Signed struct {
	Action      string `json:"action"`
	Stored      Blob   `json:"stored"` // the file as it is now
	Plain       Blob   `json:"plain"`
	Signer      string `json:"signer,omitempty"` // CN of the certificate's subject
	Serial      string `json:"serial,omitempty"` // hex
	KeyID       string `json:"keyId,omitempty"`  // subject key id, hex
	Hash        string `json:"hash,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"` // SHA-256 of the certificate's DER, hex
}
