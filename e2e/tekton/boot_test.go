//go:build e2e

package tekton_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/e2e/sample"
	"github.com/kmodseal/kmodseal/e2e/secureboot/boot"
	"github.com/kmodseal/kmodseal/e2e/secureboot/varstore"
	"github.com/kmodseal/kmodseal/e2e/secureboot/wire"
)

// boots starts d's kernel under Secure Boot with the certificate of key as the one Machine Owner Key.
// It must load the module out of the registry, and none that lacks that signature.
func boots(t *testing.T, d *driver, key *sample.Key, sealed []byte) {
	t.Helper()
	stranger, err := sample.NewKey("a stranger (TEST KEY)")
	require.NoError(t, err)
	strange, err := stranger.Sign(d.plain)
	require.NoError(t, err)
	tampered := bytes.Clone(sealed)
	tampered[len(d.plain)/2] ^= 1

	files, err := initrd(d, map[string][]byte{"unsigned": d.plain, "stranger": strange, "tampered": tampered, "sealed": sealed})
	require.NoError(t, err)
	log, err := boot.Machine{
		Chain: d.chain, Kernel: d.kernel.Vmlinuz, Initrd: files, Accel: "tcg", Limit: 5 * time.Minute,
		Vars: func(v *varstore.Store) { v.EnrolMOK(key.Cert.Raw) },
		Dir:  filepath.Join(lab(), "boot"),
	}.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, d.kernel.Release, log.Facts["KERNEL"])
	assert.Contains(t, log.Facts["LOCKDOWN"], "[integrity]", "Secure Boot is off")
	for name, want := range map[string]string{
		"mc": wire.OK, "videodev": wire.OK, "sealed": wire.OK,
		"unsigned": "EKEYREJECTED", "stranger": "EKEYREJECTED", "tampered": "EKEYREJECTED",
	} {
		assert.Equal(t, want, log.Answers[name].Result, "%s: %q", name, log.Answers[name].Lines)
	}
}

// initrd loads the modules of the driver in the order of their names, after what it depends on.
func initrd(d *driver, modules map[string][]byte) (boot.Files, error) {
	files := boot.Files{}
	var err error
	if files["/init"], err = os.ReadFile(filepath.Join(lab(), "bin", "guestinit")); err != nil {
		return nil, err
	}
	var jobs []wire.Job
	for _, need := range []string{"mc/mc.ko", "v4l2-core/videodev.ko"} {
		name := filepath.Base(need)
		if files["/m/"+name], err = os.ReadFile(filepath.Join(d.kernel.Modules, "kernel/drivers/media", need)); err != nil {
			return nil, err
		}
		jobs = append(jobs, wire.Job{Name: name[:len(name)-len(".ko")], Method: wire.Keep, Path: "/m/" + name, Arg: "-"})
	}
	for _, name := range []string{"unsigned", "stranger", "tampered", "sealed"} {
		file := "/m/v4l2loopback" + wire.ModuleName + name + ".ko"
		files[file] = modules[name]
		jobs = append(jobs, wire.Job{Name: name, Method: wire.Finit, Path: file, Arg: "-"})
	}
	var list bytes.Buffer
	err = wire.WriteJobs(&list, jobs)
	files[wire.JobFile] = list.Bytes()
	return files, err
}
