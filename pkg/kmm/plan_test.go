package kmm

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

func plan(t *testing.T, image string, kernels ...string) (*Plan, error) {
	t.Helper()
	m, err := module(t, "      kernelMappings:\n        - {regexp: '^6', containerImage: '"+image+"', "+signSection+"}\n")
	require.NoError(t, err)
	return Make([]Module{*m}, kernels)
}

func TestMake(t *testing.T) {
	t.Parallel()
	p, err := plan(t, "r/d:$KERNEL_VERSION", "6.12.1+deb12-amd64", "6.1.0-56-amd64", "5.4.0-1", "6.1.0-56-amd64")
	require.NoError(t, err)
	require.Len(t, p.Jobs, 2)
	assert.Equal(t, "6.1.0-56-amd64", p.Jobs[0].Kernel)
	assert.Equal(t, "r/d:6.12.1_deb12-amd64", p.Jobs[1].Destination)
	assert.Equal(t, []Pair{{"m", "5.4.0-1"}}, p.Idle)

	_, err = plan(t, "r/d:1", "6.1.0-1", "6.1.0-2")
	require.ErrorContains(t, err, "cr.yaml, line 9: module m for 6.1.0-1 and module m for 6.1.0-2 would both write r/d:1")
	assert.Equal(t, fault.Input, fault.ClassOf(err))
	_, err = plan(t, "r/d:1", "5.4.0-1")
	require.ErrorContains(t, err, "matches 5.4.0-1")
	_, err = plan(t, "r/d:1")
	require.Error(t, err)
}

func TestWrite(t *testing.T) {
	t.Parallel()
	p, err := plan(t, "r/d:$KERNEL_VERSION", "6.12.1+deb12-amd64", "6.1.0-56-amd64")
	require.NoError(t, err)
	p.Release = "v1.2.3"
	out := func(format string) string {
		var b strings.Builder
		require.NoError(t, p.Write(&b, format))
		return b.String()
	}
	assert.JSONEq(t, `["6.1.0-56-amd64","6.12.1+deb12-amd64"]`, out(FormatTekton))

	var matrix struct{ Include []map[string]string }
	require.NoError(t, json.Unmarshal([]byte(out(FormatGitHub)), &matrix))
	require.Len(t, matrix.Include, 2)
	assert.Equal(t, "r/u:1", matrix.Include[0]["source"])
	require.NotEmpty(t, p.Jobs[0].Require)
	assert.Equal(t, strings.Join(p.Jobs[0].Require, "\n"), matrix.Include[0]["require"])
	assert.Equal(t, 1, strings.Count(out(FormatGitHub), "\n"), "GitHub wants the matrix on one line")

	var child struct {
		Include []struct {
			Component string
			Inputs    map[string]string
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(out(FormatGitLab)), &child))
	require.Len(t, child.Include, 2)
	assert.Equal(t, "$CI_SERVER_FQDN/kmodseal/kmodseal/seal-image@v1.2.3", child.Include[0].Component)
	assert.Equal(t, "seal-m-6.12.1_deb12-amd64", child.Include[1].Inputs["job-name"])

	var back Plan
	require.NoError(t, json.Unmarshal([]byte(out(FormatJSON)), &back))
	for i := range p.Jobs {
		p.Jobs[i].at = "" // for messages
	}
	back.Release = p.Release
	assert.Equal(t, *p, back)
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	p, err := Make([]Module{Template("driver", "r/u:1", "r/d:1", nil)}, nil)
	require.NoError(t, err)
	j, err := p.Only()
	require.NoError(t, err)
	assert.Equal(t, "r/d:1", j.Destination)
	assert.Empty(t, j.Kernel)
	assert.Empty(t, j.Warnings)

	_, err = Make([]Module{Template("driver", "r/u:$KERNEL_X", "r/d:1", nil)}, nil)
	require.ErrorContains(t, err, "no kernel is given")

	p, err = Make([]Module{Template("driver", "r/u:$KERNEL_XYZ", "r/d:$KERNEL_XYZ", nil)}, []string{"6.1.0-1", "6.2.0-1"})
	require.NoError(t, err)
	_, err = p.Only()
	require.ErrorContains(t, err, "2 jobs where one is wanted")
	require.Error(t, p.Write(&strings.Builder{}, FormatJob))
}
