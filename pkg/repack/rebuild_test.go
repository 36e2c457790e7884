package repack

import (
	"encoding/json"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	hashA = "sha256:" + strings.Repeat("a", 64)
	hashB = "sha256:" + strings.Repeat("b", 64)
	hashC = "sha256:" + strings.Repeat("c", 64)
)

func fake(t testing.TB, hash string) *layer {
	t.Helper()
	h, err := v1.NewHash(hash)
	require.NoError(t, err)
	return &layer{digest: h, diffID: h, size: 42, media: types.OCILayer}
}

func TestEditConfig(t *testing.T) {
	t.Parallel()
	src := `{"os":"linux","x-unknown":{"b":1, "a":[ ]},"created":"2020-01-01T00:00:00.123456789Z","config":{"Env":["A=<b>"]},` +
		`"rootfs":{"type":"layers","diff_ids":["` + hashA + `"],"x":1},"history":[{"empty_layer":true,"y":2},{"created_by":"c"}],"z":1e400}`
	got, err := editConfig([]byte(src), 1, nil, fake(t, hashB))
	require.NoError(t, err)
	want := strings.Replace(src, `"`+hashA+`"]`, `"`+hashA+`","`+hashB+`"]`, 1)
	want = strings.Replace(want, `{"created_by":"c"}]`, `{"created_by":"c"},{"created":"2020-01-01T00:00:00.123456789Z","created_by":"kmodseal repack-image","comment":"signed kernel modules"}]`, 1)
	assert.Equal(t, want, string(got))

	got, err = editConfig([]byte(src), 1, map[int]*layer{0: fake(t, hashC)}, nil)
	require.NoError(t, err)
	assert.Equal(t, strings.Replace(src, hashA, hashC, 1), string(got))
}

func TestEditConfigHistory(t *testing.T) {
	t.Parallel()
	for name, history := range map[string]string{"none": ``, "empty": `,"history":[]`, "null": `,"history":null`, "too short": `,"history":[{"empty_layer":true}]`, "too long": `,"history":[{},{}]`} {
		src := `{"rootfs":{"diff_ids":["` + hashA + `"]}` + history + `}`
		got, err := editConfig([]byte(src), 1, nil, fake(t, hashB))
		require.NoError(t, err, name)
		assert.Equal(t, `{"rootfs":{"diff_ids":["`+hashA+`","`+hashB+`"]}`+history+`}`, string(got), name)
	}
}

func TestEditConfigRefuses(t *testing.T) {
	t.Parallel()
	for _, src := range []string{``, `[]`, `{}`, `{"rootfs":[]}`, `{"rootfs":{}}`, `{"rootfs":{"diff_ids":["a","b"]}}`, `{"rootfs":{"diff_ids":7}}`, `{"rootfs":{"diff_ids":["a"]},"history":{}}`, `{"rootfs":{"diff_ids":["a"]},"history":[7]}`} {
		_, err := editConfig([]byte(src), 1, nil, fake(t, hashB))
		assert.Error(t, err, src)
	}
}

func TestEditManifest(t *testing.T) {
	t.Parallel()
	src := `{"schemaVersion":2,"x":[1, 2],"config":{"mediaType":"m","size":1,"digest":"` + hashA + `","data":"e30="},` +
		`"layers":[{"mediaType":"l","size":1,"digest":"` + hashA + `","urls":["u"],"annotations":{"containerd.io/snapshot/stargz/toc.digest":"t","keep":"k"}},` +
		`{"mediaType":"l","size":1,"digest":"` + hashB + `","annotations":{"io.github.containers.zstd-chunked.manifest-position":"p"}}],` +
		`"annotations":{"org.opencontainers.image.base.digest":"old","n":"v"}}`
	notes := []note{{key: "io.kmodseal.signer", value: "a <b>"}, {key: noteBaseDigest, value: "new", keep: true}}
	got, err := editManifest([]byte(src), []byte("{}"), map[int]*layer{0: fake(t, hashC), 1: fake(t, hashC)}, fake(t, hashC), notes)
	require.NoError(t, err)
	assert.Equal(t, `{"schemaVersion":2,"x":[1, 2],"config":{"mediaType":"m","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},`+
		`"layers":[{"mediaType":"l","size":42,"digest":"`+hashC+`","annotations":{"keep":"k"}},{"mediaType":"l","size":42,"digest":"`+hashC+`"},`+
		`{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":42,"digest":"`+hashC+`"}],`+
		`"annotations":{"org.opencontainers.image.base.digest":"old","n":"v","io.kmodseal.signer":"a <b>"}}`, string(got))
	for _, bad := range []string{`{}`, `{"config":{},"layers":{}}`, `{"config":{},"layers":[],"annotations":[]}`} {
		_, err := editManifest([]byte(bad), nil, nil, nil, notes)
		assert.Error(t, err, bad)
	}
}

// Without what is meant to change, manifest and configuration are the source's.
func TestAppendChangesNothingElse(t *testing.T) {
	t.Parallel()
	for _, kind := range []types.MediaType{types.OCIManifestSchema1, types.DockerManifestSchema2} {
		media := types.OCILayer
		if kind == types.DockerManifestSchema2 {
			media = types.DockerLayer
		}
		s := newScene(t, kind, media)
		mustRun(t, s.options("drv:signed"))
		now := s.pull(t, "drv:signed")
		mt, err := now.MediaType()
		require.NoError(t, err)
		assert.Equal(t, kind, mt)
		parse := func(raw []byte, err error) map[string]any {
			require.NoError(t, err)
			var m map[string]any
			require.NoError(t, json.Unmarshal(raw, &m))
			return m
		}
		was, is := parse(s.img.RawManifest()), parse(now.RawManifest())
		notes, _ := is["annotations"].(map[string]any)
		h, err := s.img.Digest()
		require.NoError(t, err)
		assert.Equal(t, h.String(), notes[noteSource])
		assert.Equal(t, "test signer", notes[noteSigner])
		assert.Len(t, notes[noteFingerprint], 64)
		assert.Equal(t, h.String(), notes[noteBaseDigest])
		assert.Equal(t, s.src, notes[noteBaseName])
		assert.Len(t, notes, 5)
		delete(is, "annotations")
		is["layers"] = is["layers"].([]any)[:4]
		is["config"] = was["config"]
		assert.Equal(t, was, is)

		wasC, isC := parse(s.img.RawConfigFile()), parse(now.RawConfigFile())
		history := isC["history"].([]any)
		require.Len(t, history, 5)
		assert.Equal(t, wasC["created"], history[4].(map[string]any)["created"])
		isC["history"] = history[:4]
		isC["rootfs"].(map[string]any)["diff_ids"] = isC["rootfs"].(map[string]any)["diff_ids"].([]any)[:4]
		assert.Equal(t, wasC, isC)
	}
}
