package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"time"

	"dalaba/controller/control"
	"dalaba/controller/hand"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/say"
)

// The tone that preempts: higher than any speech, so that the card's recording
// shows to the frame where it begins.
const (
	toneHZ     = 15000
	toneDB     = -12
	toneLength = 200 * time.Millisecond
)

// preempt measures from the order to play something of a higher rank, while a
// lesson sounds, to its first frame on the virtual card. The order is a
// technician's tone through the daemon's control socket; the time starts before
// it connects. The peer kills an mpg123 that plays on such a card and starts
// another.
func (b *bench) preempt(ctx context.Context) ([]Figure, error) {
	rounds := 50
	if b.short {
		rounds = 5
	}
	tone, err := b.tone(ctx)
	if err != nil {
		return nil, err
	}
	lessons, err := b.reel("lessons.mp3", 2*time.Minute)
	if err != nil {
		return nil, err
	}
	ours, err := b.preemptions(ctx, rounds)
	if err != nil {
		return nil, err
	}
	killed, err := b.mpg123Preemptions(ctx, rounds, lessons, tone)
	if err != nil {
		return nil, err
	}
	var all []Figure
	for _, q := range []struct {
		name string
		at   float64
	}{{"p50", 0.5}, {"p99", 0.99}} {
		all = append(all, figure("order to first frame of a higher rank, "+q.name, quantile(ours, q.at), "ms",
			"mpg123 killed, another started", quantile(killed, q.at), len(ours)))
	}
	return all, nil
}

func (b *bench) preemptions(ctx context.Context, rounds int) ([]float64, error) {
	s, err := b.newSite("preempt")
	if err != nil {
		return nil, err
	}
	cards, env, err := b.cards("preempt-cards", "pole")
	if err != nil {
		return nil, err
	}
	d, err := b.airOn(ctx, s, "alsa:pole", env)
	if err != nil {
		return nil, err
	}
	daemon, err := control.Ask(ctx, s.data(), say.English)
	if err != nil {
		return nil, errors.Join(err, d.end())
	}
	orders, err := inTurn(ctx, rounds, func() error { return nil }, func() (time.Time, error) {
		at := time.Now()
		return at, tone(ctx, daemon, "pole")
	})
	if err := errors.Join(err, d.end()); err != nil {
		return nil, err
	}
	t, err := readTape(cards["pole"])
	if err != nil {
		return nil, err
	}
	return t.latencies(orders)
}

// airOn makes the site air lessons without end on one output and waits until
// they sound.
func (b *bench) airOn(ctx context.Context, s *site, device, env string) (*daemon, error) {
	if _, err := b.program(ctx); err != nil { // build it before the clock is read
		return nil, err
	}
	due := time.Now().In(shanghai()).Add(5 * time.Second)
	s.output("pole", device)
	s.slot("all", fmt.Sprintf("%d %d %d * * *", due.Second(), due.Minute(), due.Hour()), "count = 500\n")
	config, err := s.config()
	if err != nil {
		return nil, err
	}
	d, err := b.startDaemon(ctx, config, env)
	if err != nil {
		return nil, err
	}
	if _, err := d.waitForLog(ctx, `msg="clip on air"`, 1); err != nil {
		return nil, errors.Join(err, d.end())
	}
	return d, nil
}

// tone makes the running daemon play the tone and waits until it is over.
func tone(ctx context.Context, daemon *control.Client, output string) error {
	order := hand.Order{Output: output, HZ: toneHZ, Seconds: toneLength.Seconds(), LevelDB: toneDB}
	r, err := daemon.Play(ctx, order, func(hand.Report) {})
	if err == nil && !r.Complete {
		err = errors.New("the tone did not sound to its end")
	}
	return err
}

// inTurn starts a lesson and gives the order for the tone, again and again. The
// waits differ so that the orders come at every phase of the card's period.
// order returns the instant at which it was given, once the tone is over.
func inTurn(ctx context.Context, rounds int, lesson func() error, order func() (time.Time, error)) (all []time.Time, err error) {
	for i := range rounds {
		if err := lesson(); err != nil {
			return nil, err
		}
		if err := wait(ctx, 350*time.Millisecond+time.Duration(i*37%10)*time.Millisecond+time.Duration(i)*137*time.Microsecond); err != nil {
			return nil, err
		}
		at, err := order()
		if err != nil {
			return nil, err
		}
		all = append(all, at)
	}
	return all, nil
}

func (b *bench) mpg123Preemptions(ctx context.Context, rounds int, lessons, tone string) ([]float64, error) {
	cards, env, err := b.cards("preempt-mpg123", "pole")
	if err != nil {
		return nil, err
	}
	var playing *child
	orders, err := inTurn(ctx, rounds, func() (err error) {
		playing, err = mpg123On(ctx, "pole", env, lessons)
		return err
	}, func() (time.Time, error) {
		at := time.Now()
		playing.kill()
		if playing, err = mpg123On(ctx, "pole", env, tone); err != nil {
			return at, err
		}
		<-playing.ended
		return at, nil
	})
	if err != nil {
		return nil, err
	}
	t, err := readTape(cards["pole"])
	if err != nil {
		return nil, err
	}
	return t.latencies(orders)
}

// tone makes a file of the tone for the peer and returns its path.
func (b *bench) tone(ctx context.Context) (path string, err error) {
	path = filepath.Join(b.dir, "tone.mp3")
	var raw bytes.Buffer
	if err := binary.Write(&raw, binary.LittleEndian, theTone()); err != nil {
		return "", err
	}
	c := command(ctx, "ffmpeg", "-v", "error", "-f", "s16le", "-ar", strconv.Itoa(playlist.Rate), "-ac", "1", "-i", "-",
		"-b:a", "128k", path)
	c.Stdin = &raw
	if said, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("ffmpeg: %w: %s", err, said)
	}
	return path, nil
}

func theTone() []int16 {
	samples := make([][2]float64, playlist.FramesIn(toneLength))
	n, _ := player.Tone(toneHZ, toneDB, toneLength).Stream(samples)
	frames := make([]int16, n)
	for i := range frames {
		frames[i] = int16(math.Round(samples[i][0] * math.MaxInt16))
	}
	return frames
}

// latencies returns how long after each order, in milliseconds, the tone began.
// An order in the silence between two lessons preempts nothing and is left out;
// it is an error if too many are.
func (t tape) latencies(orders []time.Time) (all []float64, err error) {
	// The rise of the tone, which only its beginning has.
	rise := theTone()[:playlist.Rate/50]
	for _, at := range orders {
		n := t.before(at)
		if !sounds(t.heard[max(0, n-playlist.Rate/10):n]) {
			continue
		}
		i, like := find(rise, t.heard[n:min(len(t.heard), n+playlist.Rate/2)])
		if like < 0.8 {
			return nil, fmt.Errorf("no tone after the order at %v: likeness %.2f at best", at, like)
		}
		began, ok := t.when(n + i)
		if !ok {
			return nil, fmt.Errorf("the card's log ends before frame %d", n+i)
		}
		all = append(all, millis(began.Sub(at)))
	}
	if len(all) <= len(orders)*4/5 {
		return nil, fmt.Errorf("a lesson sounded at %d of %d orders", len(all), len(orders))
	}
	return all, nil
}

// sounds reports whether there is more than digital silence.
func sounds(frames []int16) bool {
	for _, v := range frames {
		if v != 0 {
			return true
		}
	}
	return false
}

// find returns where in frames the pattern fits best, and how well: 1 is the
// same except for loudness.
func find(pattern, frames []int16) (at int, like float64) {
	energy := func(frames []int16) (sum float64) {
		for _, v := range frames {
			sum += float64(v) * float64(v)
		}
		return sum
	}
	own := energy(pattern)
	for i := 0; i+len(pattern) <= len(frames); i++ {
		// Integers, so that the sums are exact however long the search.
		var dot, other int64
		for k, v := range pattern {
			f := int64(frames[i+k])
			dot += f * int64(v)
			other += f * f
		}
		if l := float64(dot) / math.Sqrt(own*float64(other)); l > like {
			at, like = i, l
		}
	}
	return at, like
}
