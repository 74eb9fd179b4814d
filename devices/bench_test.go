//go:build cgo && !noalsa

package devices_test

import (
	"slices"
	"testing"
	"time"

	"dalaba/devices"
	"dalaba/devices/vcard"
	"dalaba/playlist"
)

// benchCard opens a virtual card and writes to it until it sounds.
func benchCard(b *testing.B) (devices.Device, *vcard.Card) {
	b.Helper()
	lib, err := plugin()
	check(b, err)
	config, cards, err := vcard.Make(lib, b.TempDir(), vcard.Spec{Name: "left"})
	check(b, err)
	b.Setenv("ALSA_CONFIG_PATH", config)
	d, err := devices.Open(b.Context(), playlist.Output{Device: "left"}, devices.Options{})
	check(b, err)
	check(b, d.Write(make([]int16, devices.Ring)))
	return d, cards[0]
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func report(b *testing.B, all []time.Duration) {
	slices.Sort(all)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(all[len(all)/2])/1e6, "p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100])/1e6, "p99-ms")
	b.ReportMetric(float64(all[len(all)-1])/1e6, "max-ms")
}

// BenchmarkPreemption measures from the decision to preempt, with a full ring,
// to the first new sample that leaves the card.
func BenchmarkPreemption(b *testing.B) {
	d, card := benchCard(b)
	var at []time.Time
	var frames []int64
	for b.Loop() {
		at = append(at, time.Now())
		check(b, d.Flush())
		p, err := d.Position()
		check(b, err)
		frames = append(frames, p.Consumed)
		for range devices.Ring/devices.Period + 5 {
			check(b, d.Write(make([]int16, devices.Period)))
		}
	}
	check(b, d.Close())
	var all []time.Duration
	for i, n := range frames {
		heard, ok, err := card.When(n)
		check(b, err)
		if !ok {
			b.Fatalf("frame %d never sounded", n)
		}
		all = append(all, heard.Sub(at[i]))
	}
	report(b, all)
}

// BenchmarkPosition measures the error of a position as a forecast of when the
// next frame written will sound.
func BenchmarkPosition(b *testing.B) {
	d, card := benchCard(b)
	type guess struct {
		frame int64
		at    time.Time
	}
	var guesses []guess
	written := int64(devices.Ring)
	for b.Loop() {
		check(b, d.Write(make([]int16, devices.Period)))
		p, err := d.Position()
		check(b, err)
		if p.Underruns > 0 {
			b.Fatal("underrun")
		}
		guesses = append(guesses, guess{written - devices.Period, p.At.Add(playlist.Length(written - devices.Period - p.Consumed))})
		written += devices.Period
	}
	for range devices.Ring / devices.Period {
		check(b, d.Write(make([]int16, devices.Period)))
	}
	check(b, d.Close())
	var all []time.Duration
	for _, g := range guesses {
		heard, ok, err := card.When(g.frame)
		check(b, err)
		if ok {
			all = append(all, heard.Sub(g.at).Abs())
		}
	}
	report(b, all)
}
