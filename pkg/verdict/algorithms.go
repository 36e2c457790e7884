package verdict

import "strings"

// algorithm says what an identifier stands for, and since when or until when
// the kernel takes it.
type algorithm struct {
	id           oid
	hash         string // name in the kernel's crypto API
	key          string
	since, until version
}

func sha3Since() version  { return version{6, 7} }
func md5Until() version   { return version{6, 7} }
func mldsaSince() version { return version{7, 0} }

// digests are those of pkcs7_sig_note_digest_algo.
func digests() []algorithm {
	return []algorithm{
		{id: "1.2.840.113549.2.4", hash: "md4", until: md5Until()},
		{id: "1.2.840.113549.2.5", hash: "md5", until: md5Until()},
		{id: "1.3.14.3.2.26", hash: "sha1"},
		{id: "2.16.840.1.101.3.4.2.1", hash: "sha256"},
		{id: "2.16.840.1.101.3.4.2.2", hash: "sha384"},
		{id: "2.16.840.1.101.3.4.2.3", hash: "sha512"},
		{id: "2.16.840.1.101.3.4.2.4", hash: "sha224"},
		{id: "1.2.156.10197.1.401", hash: "sm3"},
		{id: "1.2.643.7.1.1.2.2", hash: "streebog256"},
		{id: "1.2.643.7.1.1.2.3", hash: "streebog512"},
		{id: "2.16.840.1.101.3.4.2.8", hash: "sha3-256", since: sha3Since()},
		{id: "2.16.840.1.101.3.4.2.9", hash: "sha3-384", since: sha3Since()},
		{id: "2.16.840.1.101.3.4.2.10", hash: "sha3-512", since: sha3Since()},
	}
}

// ecdsaHashes are the ecdsa-with-* identifiers; PKCS#7 and X.509 share them.
func ecdsaHashes() []algorithm {
	return []algorithm{
		{id: "1.2.840.10045.4.1", hash: "sha1", key: "ecdsa"},
		{id: "1.2.840.10045.4.3.1", hash: "sha224", key: "ecdsa"},
		{id: "1.2.840.10045.4.3.2", hash: "sha256", key: "ecdsa"},
		{id: "1.2.840.10045.4.3.3", hash: "sha384", key: "ecdsa"},
		{id: "1.2.840.10045.4.3.4", hash: "sha512", key: "ecdsa"},
		{id: "2.16.840.1.101.3.4.3.10", hash: "sha3-256", key: "ecdsa", since: sha3Since()},
		{id: "2.16.840.1.101.3.4.3.11", hash: "sha3-384", key: "ecdsa", since: sha3Since()},
		{id: "2.16.840.1.101.3.4.3.12", hash: "sha3-512", key: "ecdsa", since: sha3Since()},
	}
}

func mldsaKeys() []algorithm {
	return []algorithm{
		{id: oidMLDSA44, hash: "none", key: "mldsa44", since: mldsaSince()},
		{id: oidMLDSA65, hash: "none", key: "mldsa65", since: mldsaSince()},
		{id: oidMLDSA87, hash: "none", key: "mldsa87", since: mldsaSince()},
	}
}

// signatureKinds are those of pkcs7_sig_note_pkey_algo. The hash that an
// ecdsa identifier names is not looked at: the digest algorithm counts.
func signatureKinds() []algorithm {
	out := append([]algorithm{
		{id: oidRSA, key: "rsa"},
		{id: oidGost256, key: "ecrdsa"},
		{id: oidGost512, key: "ecrdsa"},
		{id: "1.2.156.10197.1.501", key: "sm2", until: sha3Since()},
	}, ecdsaHashes()...)
	return append(out, mldsaKeys()...)
}

// certSignatures are those of x509_note_sig_algo.
func certSignatures() []algorithm {
	out := append([]algorithm{
		{id: "1.2.840.113549.1.1.4", hash: "md4", key: "rsa", until: md5Until()},
		{id: "1.2.840.113549.1.1.5", hash: "sha1", key: "rsa"},
		{id: "1.2.840.113549.1.1.11", hash: "sha256", key: "rsa"},
		{id: "1.2.840.113549.1.1.12", hash: "sha384", key: "rsa"},
		{id: "1.2.840.113549.1.1.13", hash: "sha512", key: "rsa"},
		{id: "1.2.840.113549.1.1.14", hash: "sha224", key: "rsa"},
		{id: "2.16.840.1.101.3.4.3.14", hash: "sha3-256", key: "rsa", since: sha3Since()},
		{id: "2.16.840.1.101.3.4.3.15", hash: "sha3-384", key: "rsa", since: sha3Since()},
		{id: "2.16.840.1.101.3.4.3.16", hash: "sha3-512", key: "rsa", since: sha3Since()},
		{id: "1.2.643.7.1.1.3.2", hash: "streebog256", key: "ecrdsa"},
		{id: "1.2.643.7.1.1.3.3", hash: "streebog512", key: "ecrdsa"},
		{id: "1.2.156.10197.1.501", hash: "sm3", key: "sm2", until: sha3Since()},
	}, ecdsaHashes()...)
	return append(out, mldsaKeys()...)
}

// pick finds id in list as far as version v knows it.
func pick(list []algorithm, id oid, v version) algorithm {
	for _, a := range list {
		if a.id == id && !v.before(a.since) && (!a.until.known() || v.before(a.until)) {
			return a
		}
	}
	return algorithm{}
}

func (k *kernel) digestName(id oid) string { return pick(digests(), id, k.version).hash }

func (k *kernel) signatureKind(id oid) (key, encoding string) {
	key = pick(signatureKinds(), id, k.version).key
	return key, encodingOf(key)
}

func (k *kernel) certSignature(id oid) (hash, key, encoding string) {
	a := pick(certSignatures(), id, k.version)
	return a.hash, a.key, encodingOf(a.key)
}

func encodingOf(key string) string {
	switch key {
	case "rsa":
		return "pkcs1"
	case "ecdsa":
		return "x962"
	}
	return "raw"
}

func isMLDSA(key string) bool { return strings.HasPrefix(key, "mldsa") }

// keyKind is the algorithm of a certificate's key (x509_extract_key_data);
// params are those of its AlgorithmIdentifier, tag and length included.
func (k *kernel) keyKind(id oid, params []byte) (string, Errno) {
	switch id {
	case oidRSA:
		return "rsa", noError
	case oidGost256, oidGost512:
		return "ecrdsa", noError
	case oidECPublicKey:
		if len(params) < 3 || params[0] != tagOID || int(params[1]) != len(params)-2 {
			return "", eBADMSG
		}
		if c := curveName(k.oids.find(params[2:])); c != "" && (c != "p521" || !k.version.before(version{6, 10})) {
			return "ecdsa-nist-" + c, noError
		}
		return "", eNOPKG
	}
	if a := pick(mldsaKeys(), id, k.version); a.key != "" {
		return a.key, noError
	}
	return "", eNOPKG
}

func curveName(id oid) string {
	switch id {
	case oidP192:
		return "p192"
	case oidP256:
		return "p256"
	case oidP384:
		return "p384"
	case oidP521:
		return "p521"
	}
	return ""
}
