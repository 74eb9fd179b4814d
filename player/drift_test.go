package player_test

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/player"
	"dalaba/playlist"
)

// crystal is a device whose clock is some parts in a million off.
type crystal struct {
	ppm   float64
	began time.Time

	mu      sync.Mutex
	written int64
	heard   []tick // when each block of frames had left
}

// tick is when a frame that shows a number left the device.
type tick struct {
	value int16
	at    time.Time
}

func (d *crystal) rate() float64 { return playlist.Rate * (1 + d.ppm/1e6) }

func (d *crystal) instant(frame int64) time.Time {
	return d.began.Add(time.Duration(float64(frame) / d.rate() * float64(time.Second)))
}

func (d *crystal) consumed(now time.Time) int64 {
	return min(d.written, int64(now.Sub(d.began).Seconds()*d.rate()))
}

func (d *crystal) Write(b []int16) error {
	d.mu.Lock()
	if d.began.IsZero() {
		d.began = time.Now()
	}
	for i, v := range b {
		if v != 0 {
			d.heard = append(d.heard, tick{v, d.instant(d.written + int64(i))})
		}
	}
	d.written += int64(len(b))
	full := d.instant(d.written - playlist.Rate/5)
	d.mu.Unlock()
	time.Sleep(time.Until(full))
	return nil
}

func (d *crystal) Position() (playlist.Position, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if d.began.IsZero() {
		return playlist.Position{At: now}, nil
	}
	return playlist.Position{Consumed: d.consumed(now), At: now}, nil
}

func (d *crystal) Flush() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.began.IsZero() {
		d.written = d.consumed(time.Now())
	}
	return nil
}

func (d *crystal) Levelled() bool { return true }
func (d *crystal) Close() error   { return nil }

// marks is silence save for a step each second, which shows the second.
type marks struct{ at, end int }

func (m *marks) Stream(samples [][2]float64) (int, bool) {
	n := 0
	for n < len(samples) && m.at < m.end {
		v := 0.0
		if m.at%playlist.Rate < 100 {
			v = float64(1000+10*(m.at/playlist.Rate)) / (1 << 15)
		}
		samples[n] = [2]float64{v, v}
		n++
		m.at++
	}
	return n, n > 0
}

func (m *marks) Err() error { return nil }

func TestNeighboursWithDifferentClocksStayTogether(t *testing.T) {
	const minutes = 2 // and six times a bad crystal's drift: as good as twelve minutes
	synctest.Test(t, func(t *testing.T) {
		cards := []*crystal{{ppm: 0}, {ppm: 600}, {ppm: -600}}
		at := time.Now().Add(time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for _, card := range cards {
			open := func(context.Context, playlist.Output) (player.Device, error) { return card, nil }
			ch := player.NewChannel(playlist.Output{Name: "x"}, open, time.Now, slog.New(slog.NewTextHandler(io.Discard, nil)))
			wg.Go(func() { _ = ch.Run(ctx) })
			wg.Go(func() {
				s := player.NewSound(&marks{end: minutes * 60 * playlist.Rate}, 0, nil)
				defer s.Close()
				turn := ch.Join(playlist.RankScheduled, "")
				take := turn.Play(player.Cue{Sound: s, At: at})
				<-take.Done()
				turn.End()
				if h := take.Heard(); h.Frames != minutes*60*playlist.Rate {
					t.Errorf("%+.0f ppm: %d frames of the sound heard, want %d", card.ppm, h.Frames, minutes*60*playlist.Rate)
				}
			})
		}
		time.Sleep(minutes*time.Minute + 5*time.Second)
		cancel()
		wg.Wait()
		for _, card := range cards {
			seen, worst := 0, time.Duration(0)
			next := int16(1000)
			for _, h := range card.heard {
				if h.value != next {
					continue
				}
				next += 10
				due := at.Add(time.Duration((int(h.value)-1000)/10) * time.Second)
				worst = max(worst, h.at.Sub(due).Abs())
				seen++
			}
			if seen < minutes*60 {
				t.Errorf("%+.0f ppm: %d marks of %d", card.ppm, seen, minutes*60)
			}
			if worst > 5*time.Millisecond {
				t.Errorf("%+.0f ppm: up to %v from the wall clock", card.ppm, worst)
			}
			t.Logf("%+.0f ppm: up to %v from the wall clock", card.ppm, worst)
		}
	})
}
