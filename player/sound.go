package player

import (
	"context"
	"errors"
	"io"
	"math"
	"sync"

	"github.com/faiface/beep"
	"github.com/faiface/beep/effects"
)

const (
	// aheadBlock frames are decoded at a time, aheadBlocks of them kept: a
	// second of sound, so that a slow card of an SD kind does not stutter.
	aheadBlock  = 1920
	aheadBlocks = 25
)

// Sound is audio decoded ahead of the output on its own goroutine. Close it.
type Sound struct {
	blocks chan []int16
	ready  chan struct{} // closed once a second is decoded, or all there is
	stop   chan struct{}
	done   sync.WaitGroup
	once   sync.Once

	cur  []int16 // what is left of the block in hand
	over bool
	err  error // valid once blocks is closed
}

// NewSound starts to decode s at levelDB; samples that this lifts above full
// scale are clipped. It calls finish when the decoder is done with s.
func NewSound(s beep.Streamer, levelDB float64, finish func() error) *Sound {
	if levelDB != 0 {
		s = &effects.Volume{Streamer: s, Base: 10, Volume: levelDB / 20}
	}
	o := &Sound{blocks: make(chan []int16, aheadBlocks), ready: make(chan struct{}), stop: make(chan struct{})}
	o.done.Go(func() { o.decode(s, finish) })
	return o
}

func (o *Sound) decode(s beep.Streamer, finish func() error) {
	defer close(o.blocks)
	var begun sync.Once
	ready := func() { begun.Do(func() { close(o.ready) }) }
	defer ready()
	if finish != nil {
		defer func() {
			if err := finish(); o.err == nil {
				o.err = err
			}
		}()
	}
	buf := make([][2]float64, aheadBlock)
	for count := 1; ; count++ {
		n, ok := s.Stream(buf)
		if n > 0 {
			block := make([]int16, n)
			toS16(block, buf)
			select {
			case o.blocks <- block:
			case <-o.stop:
				return
			}
		}
		if !ok {
			o.err = s.Err()
			return
		}
		if count == aheadBlocks {
			ready()
		}
	}
}

// toS16 fills block with the first channel of buf.
//
// The race detector does not watch the loops over single samples: they work on
// buffers that no other goroutine sees, and would take most of its time.
//
//go:norace
func toS16(block []int16, buf [][2]float64) {
	for i := range block {
		block[i] = int16(max(math.MinInt16, min(math.MaxInt16, math.Round(buf[i][0]*(1<<15)))))
	}
}

// Ready waits until the first second is decoded, or all of a shorter sound,
// and reports the error that broke it off, if one did.
func (o *Sound) Ready(ctx context.Context) error {
	select {
	case <-o.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case b, ok := <-o.blocks:
		if !ok {
			o.over = true
			return o.err
		}
		o.cur = append(o.cur, b...)
	default:
	}
	return nil
}

// next hands out at most n frames, or none if the decoder is behind. over means
// that no more will come.
func (o *Sound) next(n int) (frames []int16, over bool) {
	if len(o.cur) == 0 && !o.over {
		select {
		case b, ok := <-o.blocks:
			o.cur, o.over = b, !ok
		default:
		}
	}
	n = min(n, len(o.cur))
	frames, o.cur = o.cur[:n], o.cur[n:]
	return frames, o.over && len(o.cur) == 0
}

// gather joins the block in hand with those behind it until it holds n frames,
// as far as they are decoded.
func (o *Sound) gather(n int) {
	for len(o.cur) < n && !o.over {
		select {
		case b, ok := <-o.blocks:
			o.over = !ok
			o.cur = append(o.cur[:len(o.cur):len(o.cur)], b...)
		default:
			return
		}
	}
}

// giveBack puts frames that were handed out but not heard in front again.
func (o *Sound) giveBack(frames []int16) {
	o.cur = append(append([]int16{}, frames...), o.cur...)
}

// Close stops the decoder and waits for it.
func (o *Sound) Close() {
	o.once.Do(func() { close(o.stop) })
	for range o.blocks {
	}
	o.done.Wait()
}

// clipStream is a clip's decoder as a beep.Streamer.
type clipStream struct {
	d   *Decoder
	buf []int16
	err error
}

//go:norace
func (c *clipStream) Stream(samples [][2]float64) (n int, ok bool) {
	if c.err != nil {
		return 0, false
	}
	if len(c.buf) < len(samples) {
		c.buf = make([]int16, len(samples))
	}
	n, c.err = c.d.Read(c.buf[:len(samples)])
	for i, v := range c.buf[:n] {
		f := float64(v) / (1 << 15)
		samples[i] = [2]float64{f, f}
	}
	return n, n > 0
}

func (c *clipStream) Err() error { return ignoreEOF(c.err) }

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
