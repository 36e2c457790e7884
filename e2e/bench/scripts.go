package main

import (
	"os"
	"path/filepath"
	"strings"
)

// The scripts take the tag of the source and a word for the destination's.
const (
	kmodsealScript = `set -euo pipefail
src=HOST/driver:$1 dst=HOST/driver:$1-$2; shift 2
BIN/extract-kmods --quiet --source "$src" --insecure "$@"
BIN/sign-kmods --quiet --key key2048.pem --cert cert2048.pem
BIN/verify-kmods --quiet --trust cert2048.pem
BIN/repack-image --quiet --destination "$dst-$RANDOM" --trust cert2048.pem --insecure
`
	// What a careful engineer writes today: it walks the layers, but knows no
	// whiteouts, keeps no owners and checks nothing.
	shellScript = `set -euo pipefail
mkdir work; cd work
skopeo copy -q --src-tls-verify=false "docker://HOST/driver:$1" dir:image
for layer in $(python3 -c 'import json; print(*[l["digest"][7:] for l in json.load(open("image/manifest.json"))["layers"]])'); do
  tar -tzf "image/$layer" | grep '\.ko$' >list || continue
  tar -xzf "image/$layer" -T list
done
find opt -name '*.ko' | while read -r m; do SIGNFILE sha256 ../key2048.pem ../cert2048.pem "$m"; done
tar -cf signed.tar opt
crane append --insecure -b "HOST/driver:$1" -f signed.tar -t "HOST/driver:$1-$2-$RANDOM" >/dev/null
`
	buildahScript = `set -euo pipefail
mkdir work; cd work
cp SIGNFILE sign-file; cp ../key2048.pem ../cert2048.pem .
cat >Dockerfile <<D
FROM HOST/driver:$1 AS source
FROM HOST/tools AS sign
COPY --from=source /opt /opt
RUN for f in /opt/lib/modules/*/*.ko; do [ -e "\$f" ] && /sign-file sha256 /key2048.pem /cert2048.pem "\$f"; done
FROM HOST/driver:$1
COPY --from=sign /opt /opt
D
B="buildah --root PWD/buildah --runroot PWD/buildah-run --storage-driver overlay"
$B bud -q --isolation chroot --tls-verify=false --pull-always --layers=false -t signed . >/dev/null
$B push -q --tls-verify=false signed "docker://HOST/driver:$1-$2-$RANDOM"
$B rmi -a -f >/dev/null
`
	floorScript = `set -euo pipefail
curl -fsS -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' "http://HOST/v2/driver/manifests/$1" |
  python3 -c 'import json,sys; print(*[l["digest"] for l in json.load(sys.stdin)["layers"]])' | tr ' ' '\n' |
  while read -r d; do curl -fsS "http://HOST/v2/driver/blobs/$d" | gzip -dc >/dev/null; done
`
)

// scripts writes the contenders' scripts and pushes the image that stands in
// for KMM's signing image: a shell, sign-file with its libraries and the key.
func (b *bench) scripts(host, signFile string) error {
	r := strings.NewReplacer("HOST", host, "BIN", b.bin, "SIGNFILE", signFile, "PWD", b.dir)
	for file, text := range map[string]string{
		"kmodseal.sh": kmodsealScript, "shell.sh": shellScript, "buildah.sh": buildahScript, "floor.sh": floorScript,
	} {
		if err := os.WriteFile(filepath.Join(b.dir, file), []byte(r.Replace(text)), 0o600); err != nil {
			return err
		}
	}
	return b.toolsImage(host, signFile)
}
