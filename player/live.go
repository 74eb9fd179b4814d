package player

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
)

const (
	liveBlock = playlist.Rate / 50     // frames read at a time
	liveDelay = 3 * playlist.Rate / 10 // frames of silence first: as much may the capture be late
	liveAhead = 100                    // blocks that an output may be behind before it loses some
)

// Speak puts what is said into a microphone on every output, above all else,
// until in ends or ctx does: S16LE mono frames at [playlist.Rate], as they
// come. It calls tell, if that is not nil, now and then with how many frames
// came, and returns how many came in all.
func (a *Alarm) Speak(ctx context.Context, in io.Reader, title string, tell func(frames int64)) (int64, error) {
	now := a.p.Wall().UTC()
	r := emergency.Record{Rank: playlist.RankMicrophone, Received: now, Alert: emergency.Alert{
		ID: playlist.LiveID(now), Event: title,
	}}
	var (
		ears []*ear
		work sync.WaitGroup
	)
	live, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	p := a.p.Programme()
	s := newSounding(r, len(p.Outputs))
	for _, o := range p.Outputs {
		e := newEar()
		ears = append(ears, e)
		n := &siren{a: a, s: s, out: o, rules: p.Alerts.Filled(), began: time.Now(), log: a.p.Log.With("alert", r.ID, "output", o.Name), ready: sync.OnceFunc(s.starters.ready)}
		work.Go(func() {
			n.live(live, e)
			n.ready()
		})
	}
	stopped := context.AfterFunc(ctx, func() { stop(errStopped) })
	defer stopped()
	frames, err := relay(ctx, in, ears, tell)
	for _, e := range ears {
		close(e.blocks)
		close(e.shut)
	}
	work.Wait()
	return frames, err
}

// relay hands all that comes in to every ear.
func relay(ctx context.Context, in io.Reader, ears []*ear, tell func(int64)) (frames int64, err error) {
	raw := make([]byte, 2*liveBlock)
	told := time.Now()
	for ctx.Err() == nil {
		n, err := io.ReadFull(in, raw)
		block := make([]int16, n/2)
		for i := range block {
			block[i] = int16(binary.LittleEndian.Uint16(raw[2*i:]))
		}
		frames += int64(len(block))
		for _, e := range ears {
			select {
			case e.blocks <- block:
			default: // its device is away
			}
		}
		if tell != nil && time.Since(told) > watchEvery {
			told = time.Now()
			tell(frames)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return frames, nil
		case err != nil:
			return frames, err
		}
	}
	return frames, nil
}

// live sounds an ear on the siren's output.
func (n *siren) live(ctx context.Context, e *ear) {
	defer e.drain()
	if !n.await(ctx) {
		return
	}
	power := n.a.p.power(ctx, n.a.p.Wall())
	defer power.release()
	defer func() { n.leaver()() }()
	for part := 1; ; part++ {
		n.opened(ctx, e)
		level := min(0, n.rules.LevelDB+n.ch.Level()) // known once the device is open
		row := n.row(1, part, asrun.UsedMic)
		row.LevelDB = level
		sound := NewSound(e, level, nil)
		said := n.entry(row)
		n.play(ctx, said, Cue{Sound: sound, Mono: n.instant()})
		uncut := context.AfterFunc(ctx, n.leaver()) // it falls silent at once
		over := func() bool { return said.take.Heard().Cut != CutDevice || ctx.Err() != nil || e.closed() }
		n.rows = append(n.rows, n.hear(ctx, said, func(asrun.Row) {
			if over() {
				n.leaver()()
			}
		}))
		uncut()
		close(e.gone)
		sound.Close()
		if over() {
			return
		}
		e = e.anew()
	}
}

// opened waits for the output's device until the speech ends.
func (n *siren) opened(ctx context.Context, e *ear) {
	for n.waited = false; !n.ch.Up(); n.waited = true {
		n.ready()
		if n.turn.Ended() { // a reload has put another channel in place
			n.join()
		}
		select {
		case <-ctx.Done():
			return
		case <-e.shut:
			return
		case <-time.After(sirenLook):
		}
	}
	e.late()
}

// ear is one output's share of what is said, as a beep.Streamer.
type ear struct {
	blocks chan []int16
	shut   chan struct{} // closed when the speech has ended
	gone   chan struct{} // closed when this ear is not listened to any more
	quiet  int           // frames of silence still to come
	cur    []int16
}

func newEar() *ear {
	return &ear{blocks: make(chan []int16, liveAhead), shut: make(chan struct{}), gone: make(chan struct{}), quiet: liveDelay}
}

// anew is an ear on the rest of what is said.
func (e *ear) anew() *ear {
	return &ear{blocks: e.blocks, shut: e.shut, gone: make(chan struct{}), quiet: liveDelay}
}

func (e *ear) closed() bool {
	select {
	case <-e.shut:
		return true
	default:
		return false
	}
}

// late drops what was said before the device was there, but for the last
// second: the village hears the speaker now, not what he said before.
func (e *ear) late() {
	for len(e.blocks) > playlist.Rate/liveBlock {
		<-e.blocks
	}
}

func (e *ear) Stream(samples [][2]float64) (int, bool) {
	if e.quiet > 0 {
		n := min(e.quiet, len(samples))
		clear(samples[:n])
		e.quiet -= n
		return n, true
	}
	for len(e.cur) == 0 {
		select {
		case b, ok := <-e.blocks:
			if !ok {
				return 0, false
			}
			e.cur = b
		case <-e.gone:
			return 0, false
		}
	}
	n := min(len(e.cur), len(samples))
	for i, v := range e.cur[:n] {
		f := float64(v) / (1 << 15)
		samples[i] = [2]float64{f, f}
	}
	e.cur = e.cur[n:]
	return n, true
}

func (e *ear) Err() error { return nil }

// drain drops what is said, until the speech ends.
func (e *ear) drain() {
	for range e.blocks {
	}
}
