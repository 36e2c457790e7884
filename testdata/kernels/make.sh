#!/bin/bash
# Makes the certificates and signatures that pkg/verdict's test puts the cases
# of results.tsv together from. The keys are thrown away; nothing here is secret.
# usage: make.sh        needs OpenSSL 3; env OPENSSL35 = an OpenSSL 3.5 for ML-DSA
# The plain modules *.ko are written by `go test ./pkg/verdict -run Golden -update`.
set -euo pipefail
cd "$(dirname "$0")"
O35=${OPENSSL35:-openssl} K=$(mktemp -d) S=$PWD/sig C=$PWD/cert
trap 'rm -rf "$K"' EXIT
rm -rf "$S" "$C"; mkdir -p "$S" "$C"

config() { # name extension-lines...
  local n=$1; shift
  { printf '[req]\ndistinguished_name=dn\nprompt=no\nx509_extensions=e\n[dn]\nO=sbtest\nCN=sbtest %s\n[e]\n' "$n"; printf '%s\n' "$@"; } >"$K/$n.cnf"
}
cert() { # name keyspec extension-lines...
  local n=$1 spec=$2; shift 2
  case $spec in
    rsa:*) openssl genpkey -quiet -algorithm RSA -pkeyopt "rsa_keygen_bits:${spec#rsa:}" -out "$K/$n.key" 2>/dev/null ||
           openssl genpkey -algorithm RSA -pkeyopt "rsa_keygen_bits:${spec#rsa:}" -out "$K/$n.key" 2>/dev/null ;;
    ec:*) openssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:${spec#ec:}" -out "$K/$n.key" ;;
  esac
  config "$n" "$@"
  openssl req -new -x509 -config "$K/$n.cnf" -key "$K/$n.key" -days 3650 "-${MD:-sha256}" -out "$K/$n.pem"
}
SKI=subjectKeyIdentifier=hash
LEAF=("basicConstraints=critical,CA:FALSE" keyUsage=digitalSignature extendedKeyUsage=codeSigning "$SKI")
cert good2048   rsa:2048 "${LEAF[@]}"
MD=sha512 cert good4096 rsa:4096 "${LEAF[@]}"
cert ecp256     ec:P-256 "${LEAF[@]}"
cert ecp384     ec:P-384 "${LEAF[@]}"
cert noext      rsa:2048 "$SKI"
cert serverauth rsa:2048 "basicConstraints=critical,CA:FALSE" keyUsage=keyEncipherment extendedKeyUsage=serverAuth "$SKI"
cert modonly    rsa:2048 "basicConstraints=critical,CA:FALSE" keyUsage=digitalSignature "extendedKeyUsage=codeSigning,1.3.6.1.4.1.2312.16.1.2" "$SKI"
cert ca         rsa:2048 "basicConstraints=critical,CA:TRUE" keyUsage=keyCertSign,cRLSign "$SKI"
cert stranger   rsa:2048 "${LEAF[@]}"
cert revoked    rsa:2048 "${LEAF[@]}"
cert nosxi      rsa:2048 "basicConstraints=critical,CA:FALSE" subjectKeyIdentifier=none authorityKeyIdentifier=none
cert ksign      rsa:2048 "${LEAF[@]}"
cert distro     rsa:4096 "basicConstraints=critical,CA:FALSE" keyUsage=digitalSignature "$SKI" authorityKeyIdentifier=keyid
cert ca-digsig    rsa:2048 "basicConstraints=critical,CA:TRUE" keyUsage=keyCertSign,digitalSignature "$SKI" authorityKeyIdentifier=keyid
cert ca-nocertsign rsa:2048 "basicConstraints=critical,CA:TRUE" keyUsage=digitalSignature "$SKI" authorityKeyIdentifier=keyid

# dates in the past
mkdir "$K/db"; : >"$K/db/index"; echo 1000 >"$K/db/serial"
openssl genrsa -out "$K/expired.key" 2048 2>/dev/null
printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s\nserial=%s\nnew_certs_dir=%s\ndefault_md=sha256\npolicy=p\nx509_extensions=e\n[p]\nO=optional\nCN=supplied\n[req]\ndistinguished_name=dn\nprompt=no\n[dn]\nO=sbtest\nCN=sbtest expired\n[e]\nbasicConstraints=critical,CA:FALSE\nkeyUsage=digitalSignature\nsubjectKeyIdentifier=hash\n' "$K/db/index" "$K/db/serial" "$K/db" >"$K/expired.cnf"
openssl req -new -config "$K/expired.cnf" -key "$K/expired.key" -out "$K/expired.csr"
openssl ca -batch -selfsign -config "$K/expired.cnf" -keyfile "$K/expired.key" -in "$K/expired.csr" -startdate 20200101000000Z -enddate 20210101000000Z -out "$K/expired.pem" -notext 2>/dev/null
# a leaf of "ca"
config leaf
openssl genrsa -out "$K/leaf.key" 2048 2>/dev/null
openssl req -new -config "$K/leaf.cnf" -key "$K/leaf.key" -out "$K/leaf.csr"
printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=codeSigning\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n' >"$K/leaf.ext"
openssl x509 -req -in "$K/leaf.csr" -CA "$K/ca.pem" -CAkey "$K/ca.key" -set_serial 77 -days 3650 -sha256 -extfile "$K/leaf.ext" -out "$K/leaf.pem" 2>/dev/null
# ML-DSA
for n in 44 65 87; do
  $O35 genpkey -algorithm ML-DSA-$n -out "$K/mldsa$n.key"
  config mldsa$n "basicConstraints=critical,CA:FALSE" keyUsage=digitalSignature "$SKI"
  $O35 req -new -x509 -config "$K/mldsa$n.cnf" -key "$K/mldsa$n.key" -days 3650 -out "$K/mldsa$n.pem"
done
for p in "$K"/*.pem; do n=$(basename "$p" .pem); $O35 x509 -in "$p" -outform DER -out "$C/$n.der"; done

# signatures; -noattr -nocerts is byte for byte what the kernel's sign-file writes
cms() { # case module signer hash options...
  local c=$1 m=$2 k=$3 h=$4; shift 4
  openssl cms -sign -binary -in "$m" -signer "$K/$k.pem" -inkey "$K/$k.key" -md "$h" -nosmimecap -outform DER -out "$S/$c.p7s" "$@"
}
sf() { local c=$1 m=$2 k=$3 h=$4; shift 4; cms "$c" "$m" "$k" "$h" -noattr -nocerts "$@"; }
append() { # module signature output
  local n; n=$(stat -c %s "$2")
  # shellcheck disable=SC2059 # the length as four bytes
  { cat "$1" "$2"; printf '\0\0\2\0\0\0\0\0'; printf "\\x$(printf %02x $((n>>24&255)))\\x$(printf %02x $((n>>16&255)))\\x$(printf %02x $((n>>8&255)))\\x$(printf %02x $((n&255)))"; printf '~Module signature appended~\n'; } >"$3"
}
P=probe.ko
sf good $P good2048 sha256; sf stranger $P stranger sha256; sf keyid $P good2048 sha256 -keyid
for h in sha1 sha384 sha512 sha3-256; do sf good-$h $P good2048 $h; done
sf good4096 $P good4096 sha256; sf good4096-sha512 $P good4096 sha512
sf ecp256 $P ecp256 sha256; sf ecp384 $P ecp384 sha384
for k in noext serverauth modonly expired ca nosxi revoked leaf ca-digsig ca-nocertsign ksign; do sf $k $P $k sha256; done
cms signed-attrs $P good2048 sha256 -nocerts
cms embedded-cert $P good2048 sha256 -noattr
cms leaf-embedded $P leaf sha256 -noattr
sf pss $P good2048 sha256 -keyopt rsa_padding_mode:pss
sf stranger-plus-good $P stranger sha256 -signer "$K/good2048.pem" -inkey "$K/good2048.key"
sf good-plus-stranger $P good2048 sha256 -signer "$K/stranger.pem" -inkey "$K/stranger.key"
sf attached $P good2048 sha256 -nodetach
append $P "$S/stranger.p7s" "$K/inner-bad"; sf outer-good "$K/inner-bad" good2048 sha256
append $P "$S/good.p7s" "$K/inner-good"; sf outer-bad "$K/inner-good" stranger sha256
{ cat $P; printf x; } >"$K/x"; sf hash "$K/x" good2048 sha256
{ cat $P; printf y; } >"$K/y"; sf filehash "$K/y" good2048 sha256
sf other-kernel other.ko good2048 sha256
sf distro distro.ko distro sha256
append distro.ko "$S/distro.p7s" "$K/distro-signed"
sf distro-mok "$K/distro-signed" good2048 sha256; sf distro-stranger "$K/distro-signed" stranger sha256
xz -c --check=crc32 $P >"$K/probe.xz"; cp "$K/probe.xz" probe.ko.xz; sf after-compress probe.ko.xz good2048 sha256
# ML-DSA: as sign-file of Linux 7.x writes it with OpenSSL 3.5 (signed attributes), and without them
for n in 44 65 87; do
  $O35 cms -sign -binary -in $P -signer "$K/mldsa$n.pem" -inkey "$K/mldsa$n.key" -md sha512 -nocerts -nosmimecap -no_signing_time -outform DER -out "$S/mldsa$n.p7s"
  $O35 pkeyutl -sign -rawin -inkey "$K/mldsa$n.key" -in $P -out "$K/raw"
  $O35 x509 -in "$K/mldsa$n.pem" -noout -ext subjectKeyIdentifier | tail -1 | tr -d ' :\n' >"$K/ski"
  python3 - "$S/mldsa$n-noattr.p7s" "$K/raw" "$K/ski" $((0x11 + (n==44?0:n==65?1:2))) <<'PY'
import sys
out, sig, ski, last = sys.argv[1], open(sys.argv[2], 'rb').read(), bytes.fromhex(open(sys.argv[3]).read()), int(sys.argv[4])
def tlv(t, b):
    n = len(b)
    size = bytes([n]) if n < 128 else bytes([0x80 | (n.bit_length() + 7) // 8]) + n.to_bytes((n.bit_length() + 7) // 8, 'big')
    return bytes([t]) + size + b
oid = lambda h: tlv(6, bytes.fromhex(h))
data, signed, sha512 = oid('2a864886f70d010701'), oid('2a864886f70d010702'), tlv(0x30, oid('608648016503040203'))
algorithm = tlv(0x30, oid('6086480165030403%02x' % last))
signer = tlv(0x30, tlv(2, b'\x03') + tlv(0x80, ski) + sha512 + algorithm + tlv(4, sig))
body = tlv(2, b'\x03') + tlv(0x31, sha512) + tlv(0x30, data) + tlv(0x31, signer)
open(out, 'wb').write(tlv(0x30, signed + tlv(0xa0, tlv(0x30, body))))
PY
done
$O35 cms -sign -binary -in $P -signer "$K/mldsa65.pem" -inkey "$K/mldsa65.key" -md sha256 -nocerts -nosmimecap -no_signing_time -outform DER -out "$S/mldsa65-sha256.p7s"
find "$C" "$S" -type f | wc -l
