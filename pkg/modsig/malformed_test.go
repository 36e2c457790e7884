package modsig

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// verdict walks a module through all checks, as a verifier does.
func verdict(module []byte, id *identity) error {
	a, err := Split(module)
	if err != nil {
		return err
	}
	if err := a.Trailer.Check(); err != nil {
		return err
	}
	s, err := Parse(a.PKCS7)
	if err != nil {
		return err
	}
	if !s.Signers[0].Names(id.cert) {
		return errUnknownSigner
	}
	return s.Signers[0].Check(a.Body, id.cert)
}

// at gives a copy of b with one byte of the trailer (0 to 11) set.
func trailerByte(b []byte, i int, v byte) []byte {
	out := bytes.Clone(b)
	out[len(out)-len(Marker)-trailerLen+i] = v
	return out
}

func sigLen(b []byte, n uint32) []byte {
	out := bytes.Clone(b)
	binary.BigEndian.PutUint32(out[len(out)-len(Marker)-4:], n)
	return out
}

func flip(b []byte, i int) []byte {
	out := bytes.Clone(b)
	out[(i+len(b))%len(b)] ^= 1
	return out
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestMalformed(t *testing.T) {
	t.Parallel()
	id := newIdentity(t, "rsa2048")
	body := testModule()
	good := signed(t, body, id, Options{})
	require.NoError(t, verdict(good, id))
	a, err := Split(good)
	require.NoError(t, err)
	p7, n := a.PKCS7, a.Trailer.SigLen
	end := len(good) - len(Marker) - trailerLen // of the message

	for name, c := range map[string]struct {
		module []byte
		want   error
	}{
		"empty file":                {nil, ErrUnsigned},
		"unsigned":                  {body, ErrUnsigned},
		"marker without newline":    {good[:len(good)-1], ErrUnsigned},
		"byte behind the marker":    {append(bytes.Clone(good), '\n'), ErrUnsigned},
		"marker alone":              {[]byte(Marker), ErrUnsigned},
		"one byte and marker":       {[]byte("x" + Marker), ErrMalformed},
		"trailer alone":             {good[end:], ErrMalformed},
		"trailer cut":               {join(good[end+1:]), ErrMalformed},
		"stripped, marker kept":     {join(body[:8], []byte(Marker)), ErrMalformed},
		"length huge":               {sigLen(good, 0xffffff00), ErrMalformed},
		"length 2^32-1":             {sigLen(good, 1<<32-1), ErrMalformed},
		"length zero":               {sigLen(good, 0), ErrMalformed},
		"length one less":           {sigLen(good, n-1), ErrMalformed},
		"length one more":           {sigLen(good, n+1), ErrMalformed},
		"length little endian":      {sigLen(good, n<<24|n<<8&0xff0000|n>>8&0xff00|n>>24), ErrMalformed},
		"length is all there is":    {Append(nil, p7), ErrMalformed},
		"id type PGP":               {trailerByte(good, 2, 0), ErrUnsupported},
		"id type X509":              {trailerByte(good, 2, 1), ErrUnsupported},
		"id type 3":                 {trailerByte(good, 2, 3), ErrUnsupported},
		"algo":                      {trailerByte(good, 0, 1), ErrMalformed},
		"hash":                      {trailerByte(good, 1, 4), ErrMalformed},
		"signer length":             {trailerByte(good, 3, 1), ErrMalformed},
		"key id length":             {trailerByte(good, 4, 20), ErrMalformed},
		"first pad":                 {trailerByte(good, 5, 1), ErrMalformed},
		"last pad":                  {trailerByte(good, 7, 1), ErrMalformed},
		"message cut in the middle": {join(good[:end-int(n)/2], good[end:]), ErrMalformed},
		"message not DER":           {Append(body, []byte("not a message")), ErrMalformed},
		"message of zeros":          {Append(body, make([]byte, 400)), ErrMalformed},
		"message too long":          {Append(body, append(bytes.Clone(p7), make([]byte, 1<<16)...)), ErrMalformed},
		"content changed":           {flip(good, 70), ErrRejected},
		"content longer":            {join([]byte{0}, good), ErrRejected},
		"content shorter":           {good[1:], ErrRejected},
		"signature changed":         {flip(good, end-1), ErrRejected},
		"stranger's on top":         {signed(t, good, newIdentity(t, "rsa2048-other"), Options{}), errUnknownSigner},
		"signature of other file":   {Append(body[1:], p7), ErrRejected},
	} {
		assert.ErrorIs(t, verdict(c.module, id), c.want, name)
	}
}

func TestDoubleSigned(t *testing.T) {
	t.Parallel()
	id := newIdentity(t, "rsa2048")
	once := signed(t, testModule(), id, Options{})
	twice := signed(t, once, id, Options{})
	require.NoError(t, verdict(twice, id))
	body, n := Strip(twice)
	assert.Equal(t, 2, n)
	assert.Equal(t, testModule(), body)
	assert.Equal(t, once, signed(t, body, id, Options{}), "signing again is signing once")

	body, n = Strip(sigLen(twice, 1<<31))
	assert.Zero(t, n, "a trailer that does not fit is not taken off")
	assert.Len(t, body, len(twice))
}
