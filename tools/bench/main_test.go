package main

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// promised are the keys of every figure in the file.
var promised = []string{"name", "peer", "peer_value", "ratio", "samples", "unit", "value"}

// measure runs the benchmark for a short time, and returns the figures in its file and
// what it prints for people. It skips the test if the figures need a disk and there is
// none.
func measure[F any](t *testing.T, args ...string) (figures []F, printed string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "build", "bench.json")
	var out, log bytes.Buffer
	if code := run(t.Context(), append([]string{"-short", "-o", file}, args...), &out, &log); code != 0 {
		if strings.Contains(log.String(), "lies in memory") {
			t.Skip(log.String())
		}
		t.Fatalf("exit %d: %s", code, log.String())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &figures); err != nil {
		t.Fatal(err)
	}
	return figures, out.String()
}

func TestFiguresHaveThePromisedShape(t *testing.T) {
	figures, out := measure[map[string]any](t, "-only", "due,plan")
	if lines := strings.Count(out, "\n"); len(figures) == 0 || lines != len(figures) {
		t.Fatalf("%d figures in the file, %d lines for people", len(figures), lines)
	}
	for _, f := range figures {
		var keys []string
		for k := range f {
			keys = append(keys, k)
		}
		if slices.Sort(keys); !slices.Equal(keys, promised) {
			t.Fatalf("keys %v", keys)
		}
		value, peer, ratio := f["value"].(float64), f["peer_value"].(float64), f["ratio"].(float64)
		if value <= 0 || peer <= 0 || math.Abs(ratio-value/peer) > 1e-9*ratio {
			t.Errorf("%v: value %v, peer %v, ratio %v", f["name"], value, peer, ratio)
		}
		if f["samples"].(float64) < 1 || f["unit"] == "" || f["peer"] == "" {
			t.Errorf("%v stands on nothing", f)
		}
		if !strings.Contains(out, f["name"].(string)) {
			t.Errorf("no line for people names %v", f["name"])
		}
	}
}

func TestUnknownFiguresAndFlagsAreRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"figures that do not exist", []string{"-only", "due,wow"}, 1, `no figures named "wow"`},
		{"a flag that does not exist", []string{"-wow"}, 2, "-wow"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			if code := run(t.Context(), c.args, io.Discard, &log); code != c.code || !strings.Contains(log.String(), c.says) {
				t.Errorf("exit %d: %s", code, log.String())
			}
		})
	}
}

func TestQuantileIsAValueOfTheList(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	for _, c := range []struct {
		name string
		all  []float64
		q    float64
		want float64
	}{
		{"the median of an odd number", []float64{3, 1, 2}, 0.5, 2},
		{"the median of an even number is the lower", []float64{4, 3, 2, 1}, 0.5, 2},
		{"the 99th of a hundred", hundred, 0.99, 99},
		{"the worst", hundred, 1, 100},
		{"of one", []float64{7}, 0.99, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := quantile(c.all, c.q); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestTheSinkReadsAtACardsPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// 25 periods: 20 fit the ring, so the last is accepted 50 ms after the
		// first.
		before := time.Now()
		began, frames, err := sink(bytes.NewReader(make([]byte, 25*2*sinkPeriod+100)))
		if err != nil || frames != 25*sinkPeriod || !began.Equal(before) || time.Since(before) != 50*time.Millisecond {
			t.Errorf("%d frames from %v on, all in after %v: %v", frames, began.Sub(before), time.Since(before), err)
		}
	})
}

func TestNumbersHaveThreeSignificantDigits(t *testing.T) {
	for _, c := range []struct {
		v    float64
		want string
	}{{0, "0"}, {123.4, "123"}, {12345.6, "12346"}, {1.2345, "1.23"}, {0.00012345, "0.000123"}, {-2.5, "-2.50"}} {
		if got := number(c.v); got != c.want {
			t.Errorf("number(%v) = %q, want %q", c.v, got, c.want)
		}
	}
}

func TestBytesWrittenToTheDiskAreCounted(t *testing.T) {
	if testing.Short() {
		t.Skip("airs for half a minute")
	}
	t.Parallel() // it mostly waits
	figures, _ := measure[Figure](t, "-only", "wear")
	if len(figures) != 5 {
		t.Fatalf("%+v", figures)
	}
	// An airing is claimed and ended, with a sync for each, and the day has 50.
	if one := figures[3]; one.Value < 2 || figures[1].Value < 50*2 {
		t.Errorf("%+v", figures)
	}
	// Each of those writes at least a page.
	if one := figures[2]; one.Value < 2*4 || figures[0].Value < 50*2*4.096/1000 {
		t.Errorf("%+v", figures)
	}
}
