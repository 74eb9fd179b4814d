package devices

import (
	"errors"
	"time"

	"dalaba/playlist"
)

// patience is how late a frame may reach a device that is not hardware and
// still count as in time.
const patience = 30 * time.Second

// paced consumes frames as a card would: from the first write on, at exactly
// playlist.Rate by the monotonic clock, until its ring runs empty. A busy
// machine that writes late loses nothing: no hardware waits for the frames, so
// those that come within patience of their instant count as if they had sounded
// then. Only later does the ring count as empty.
type paced struct {
	file *wavFile // nil: no file

	ring      []int16   // queued, not yet consumed
	began     time.Time // when the present run of sound began; zero while the ring is empty
	base      int64     // frames consumed before that
	consumed  int64
	at        time.Time // the instant that consumed is valid for: now, or when the last frame ended
	underruns int64
	err       error // why the device is lost
}

// advance consumes the frames that are due by now.
func (p *paced) advance(now time.Time) error {
	before := p.at
	if p.at = now; p.err != nil || p.began.IsZero() {
		return p.err
	}
	n := p.base + soundedIn(now.Sub(p.began)) - p.consumed
	if n > int64(len(p.ring)) {
		n = int64(len(p.ring))
		if end := p.began.Add(instant(p.consumed + n - p.base)); now.Sub(end) <= patience {
			if p.at = before; end.After(before) {
				p.at = end
			}
		} else {
			p.began = time.Time{}
			p.underruns++
		}
	}
	if n == 0 {
		return nil
	}
	if p.file != nil {
		if p.err = p.file.append(p.ring[:n]); p.err != nil {
			return p.err
		}
	}
	p.ring = append(p.ring[:0], p.ring[n:]...)
	p.consumed += n
	return nil
}

func (p *paced) Write(frames []int16) error {
	for len(frames) > 0 {
		now := time.Now()
		if err := p.advance(now); err != nil {
			return err
		}
		room := min(Ring-len(p.ring), len(frames))
		if room == 0 {
			// Until a period, or what is left to write, has sounded and made
			// room.
			n := p.consumed + int64(min(Period, len(frames))) - p.base
			time.Sleep(p.began.Add(instant(n)).Sub(now))
			continue
		}
		if p.file != nil && p.file.frames+int64(len(p.ring)+room) > maxFrames {
			p.err = p.file.full()
			return p.err
		}
		if p.began.IsZero() {
			p.began, p.base = now, p.consumed
		}
		p.ring = append(p.ring, frames[:room]...)
		frames = frames[room:]
	}
	return nil
}

// instant returns when the nth frame of a run has fully sounded, rounded up, so
// that a goroutine that wakes then finds it consumed.
func instant(n int64) time.Duration {
	d := playlist.Length(n)
	if soundedIn(d) < n {
		d++
	}
	return d
}

// soundedIn returns how many frames sound fully in d.
func soundedIn(d time.Duration) int64 {
	return int64(d/time.Second)*playlist.Rate + int64(d%time.Second)*playlist.Rate/int64(time.Second)
}

func (p *paced) Position() (playlist.Position, error) {
	if err := p.advance(time.Now()); err != nil {
		return playlist.Position{}, err
	}
	return playlist.Position{Consumed: p.consumed, At: p.at, Underruns: p.underruns}, nil
}

func (p *paced) Flush() error {
	if err := p.advance(time.Now()); err != nil {
		return err
	}
	p.ring, p.began = p.ring[:0], time.Time{}
	return nil
}

func (p *paced) Levelled() bool { return false }

func (p *paced) Close() error {
	if p.err == ErrClosed {
		return nil
	}
	var err error
	if p.err == nil {
		err = p.advance(time.Now())
	}
	p.err = ErrClosed
	if p.file != nil {
		err = errors.Join(err, p.file.f.Close())
	}
	return err
}
