package progress_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/progress"
)

func TestMeter(t *testing.T) {
	t.Parallel()
	var calls, last, total int64
	m := &progress.Meter{Phase: "read", Total: 50, Tell: func(phase string, done, all int64) {
		assert.Equal(t, "read", phase)
		assert.Greater(t, done, last, "calls do not overlap")
		calls, last, total = calls+1, done, all
	}}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			_, _ = m.Write([]byte("ab"))
			m.Add(1, 2)
		})
	}
	wg.Wait()
	assert.Equal(t, []int64{100, 150, 150}, []int64{calls, last, total})
}

func TestNobodyIsTold(t *testing.T) {
	t.Parallel()
	for _, m := range []*progress.Meter{nil, {}} {
		n, err := m.Write([]byte("abc"))
		require.NoError(t, err)
		assert.Equal(t, 3, n)
	}
}
