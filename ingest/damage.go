package ingest

import (
	"errors"
	"fmt"
	"math"

	"dalaba/playlist/say"
)

// MaxMissing is how much of a source may be missing in all, in seconds. A source
// that lacks more is refused unless the operator says to take it as it is.
const MaxMissing = 1.0

// Shorter gaps are not reported, in seconds.
const (
	minGap   = 0.1
	minPause = 0.5  // in the codecs that leave pauses out
	minShort = 0.25 // between the length that a header states and the length decoded
)

// ErrIncomplete marks the refusal of a file that is not whole: it may still be
// arriving.
var ErrIncomplete = errors.New("incomplete")

// Gap is sound that a source should have but has not.
type Gap struct {
	At      float64 `json:"at"`      // seconds from the beginning of the recording
	Seconds float64 `json:"seconds"` // 0: how much is missing is not known, but the end is
	Of      float64 `json:"of"`      // if the end is missing, the length in seconds that the header states; else 0
}

// Damage is what is missing of a source, in the order of the recording.
type Damage []Gap

// Seconds returns how much is known to be missing in all.
func (d Damage) Seconds() (sum float64) {
	for _, g := range d {
		sum += g.Seconds
	}
	return sum
}

// Err returns the ErrRefused and ErrIncomplete with which an import refuses
// such a source, or nil if no more than MaxMissing is missing.
func (d Damage) Err() error {
	for _, g := range d {
		if g.Seconds == 0 || d.Seconds() > MaxMissing {
			return d.refusal()
		}
	}
	return nil
}

// refusal lists the first three gaps.
func (d Damage) refusal() error {
	const most = 3
	var list say.Message
	for i, m := range d.Messages() {
		switch {
		case i == 0:
			list = m
		case i < most:
			list = say.M("ingest.also", list, m)
		}
	}
	if more := len(d) - most; more > 0 {
		list = say.M("ingest.more", list, more)
	}
	return refusal{say.M("ingest.incomplete", list), ErrIncomplete}
}

// Messages returns a sentence for each gap.
func (d Damage) Messages() (all []say.Message) {
	for _, g := range d {
		switch at := position(g.At); {
		case g.Seconds == 0:
			all = append(all, say.M("ingest.gap_open", at))
		case g.Of > 0:
			all = append(all, say.M("ingest.gap_end", at, g.Seconds, g.Of))
		default:
			all = append(all, say.M("ingest.gap", g.Seconds, at))
		}
	}
	return all
}

// position writes a time in a recording, such as 0:12.3 or 1:02:03.0.
func position(seconds float64) string {
	tenths := int64(math.Round(10 * seconds))
	s, m, h := float64(tenths%600)/10, tenths/600%60, tenths/36000
	if h > 0 {
		return fmt.Sprintf("%d:%02d:%04.1f", h, m, s)
	}
	return fmt.Sprintf("%d:%04.1f", m, s)
}

// damage returns what is missing of a source: by its frames if it is a bare
// stream of them, else by the times that its container gives. pauses are the gaps
// between these times. cut says that a bare stream ends inside a frame.
func (s *sound) damage(pauses []Gap, decoded float64) (d Damage, cut bool, err error) {
	if parse := framings[s.container]; parse != nil {
		w, err := walkFrames(s.src, parse)
		if err != nil || len(w.parts) > 0 {
			return w.damage(), w.cut, err
		}
	}
	var pages ogg
	if s.container == "ogg" {
		if pages, err = oggPages(s.src); err != nil {
			return nil, false, err
		}
	}
	if pages.joined > 0 {
		pauses = nil                               // the times begin anew
		s.faults = max(0, s.faults-4*pages.joined) // ffmpeg decodes two headers of each as if they were sound
	}
	end := decoded
	for _, g := range pauses {
		if g.Seconds >= minPause || !discontinuous[s.codec] {
			d = append(d, g)
		}
		end += g.Seconds
	}
	declared := s.declared
	if s.part < 1 {
		declared = end / max(s.part, 1e-9) // ffprobe may tell how long that is which is there
	}
	switch short := declared - end; {
	case short > minShort:
		d = append(d, Gap{At: end, Seconds: short, Of: declared})
	case pages.cut:
		d = append(d, Gap{At: end})
	}
	return d, false, nil
}

// discontinuous are codecs, as ffprobe names them, that may leave pauses of
// speech out.
var discontinuous = map[string]bool{"amr_nb": true, "amr_wb": true, "opus": true, "speex": true, "evrc": true, "qcelp": true}
