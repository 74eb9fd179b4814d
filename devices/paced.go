package devices

import (
	"errors"
	"time"

	"dalaba/playlist"
)

// patience is how late a frame may reach a device that is no hardware and
// still count as in time.
const patience = 30 * time.Second

// paced consumes frames as a card would: from the first write on at exactly
// playlist.Rate of the monotonic clock, until its ring runs dry. A busy machine
// that feeds it late loses nothing by it: no hardware waits for the frames, so
// those that come within patience of their instant are taken as though they had
// sounded then. Only after that has the ring run dry.
type paced struct {
	file *wavFile // nil: nowhere

	ring      []int16   // queued, not yet consumed
	began     time.Time // when the present run of sound began; zero while dry
	base      int64     // consumed before that
	consumed  int64
	at        time.Time // when consumed was that many: now, or when the last frame ended
	underruns int64
	err       error // why it is lost
}

// advance consumes what has become due.
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
			// Until a period of room, or what is left to write, has sounded.
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

// instant is when the nth frame of a run has wholly sounded, rounded up, so
// that one who wakes then finds it consumed.
func instant(n int64) time.Duration {
	d := playlist.Length(n)
	if soundedIn(d) < n {
		d++
	}
	return d
}

// soundedIn is how many frames sound wholly in d, however long.
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
