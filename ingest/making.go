package ingest

import (
	"context"
	"errors"
	"math"
	"os"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

// making is the work of making one clip, in three steps: study the source, keep
// its bytes if they may air as they are, or convert it.
type making struct {
	g        *Ingester
	s        *sound
	file     *os.File // the clip's
	asIs     bool     // the source is taken however much is missing
	fig      *Figures
	progress Progress
	began    time.Time // of the present step
}

// within is the progress of a step that takes span percent after the first base
// percent.
func (w *making) within(base, span float64) Progress {
	return func(part float64) { w.progress(base + span*part) }
}

// study probes the source and measures its loudness.
func (w *making) study(ctx context.Context, src *os.File, ffmpeg, probe string) (err error) {
	w.began = time.Now()
	if w.s, err = w.g.probe(ctx, probe, src); err != nil {
		return err
	}
	s, fig := w.s, w.fig
	s.ffmpeg, s.asIs, s.arriving = ffmpeg, w.asIs, w.g.arriving && !w.asIs
	fig.Format, fig.SourceRate, fig.Channels = s.format, s.rate, s.channels
	fig.Spent.Probe += since(&w.began)

	if err := w.g.measure(ctx, s, w.within(0, 30)); err != nil {
		return err
	}
	fig.Spent.Measure += since(&w.began)
	fig.Seconds = float64(s.frames) / playlist.Rate
	fig.LUFSBefore, fig.PeakBefore, fig.Faults = Decibel(s.lufs), Decibel(s.peak), s.faults
	fig.Missing, fig.Cut = s.missing, s.cut
	fig.Changes = append(fig.Changes, fig.faults()...)
	return nil
}

// keep copies the source's bytes if they keep the air profile and would air
// right. kept is false if the source must be converted.
func (w *making) keep(ctx context.Context) (clip playlist.Clip, kept bool, err error) {
	clip, kept, err = w.g.keep(w.s.src, w.s, w.file)
	if err != nil || !kept {
		return clip, false, err
	}
	proof, err := w.g.prove(ctx, w.s, w.file, false, w.within(30, 70))
	w.fig.Spent.Prove = since(&w.began)
	if errors.Is(err, ErrRefused) {
		return clip, false, nil // it keeps the profile and still would not air right
	}
	if err != nil {
		return clip, false, err
	}
	proof.correlation, proof.worst = 1, 1
	w.fig.record(proof)
	w.fig.Kept = true
	w.fig.Kbps = int(math.Round(float64(clip.Size) * 8 / 1000 * playlist.Rate / float64(clip.Frames)))
	w.fig.Changes = append(w.fig.Changes, say.M("ingest.unchanged"))
	return clip, true, nil
}

// convert encodes the source, and compares the clip with it.
func (w *making) convert(ctx context.Context) (playlist.Clip, error) {
	clip, err := w.level(ctx)
	if err != nil {
		return playlist.Clip{}, err
	}
	s, fig := w.s, w.fig
	if err := proofErr(*fig); err != nil {
		return playlist.Clip{}, err
	}
	want := s.to - s.from
	if clip.Frames < want || clip.Frames > want+4*mpegFrame {
		return playlist.Clip{}, refuse("ingest.length", playlist.Length(want), clip.Length())
	}
	fig.Kbps = kbps
	fig.TrimmedHead = float64(s.from) / playlist.Rate
	fig.TrimmedTail = float64(s.frames-s.to) / playlist.Rate
	fig.Changes = append(fig.Changes, s.changes(*fig)...)
	return clip, nil
}

// level encodes the source until the loudness and the peak of the clip are
// right. A peak grows when coded, by how much only the decoder can tell. If it
// grew too far, the next clip is encoded with that much more room.
func (w *making) level(ctx context.Context) (playlist.Clip, error) {
	const lastTry = 3
	target, ceiling := TargetLUFS, CeilingDBTP-1.9
	gain, err := w.s.rehearse(target, ceiling)
	if err != nil {
		return playlist.Clip{}, err
	}
	w.fig.Spent.Measure += since(&w.began)
	for try := 0; ; try++ {
		clip, proof, err := w.encode(ctx, gain, ceiling, try)
		if err != nil {
			return playlist.Clip{}, err
		}
		over, off := proof.peak-CeilingDBTP, TargetLUFS-proof.lufs
		near := 0.5
		if try == lastTry {
			near = 1
		}
		if over <= 0 && math.Abs(off) <= near {
			return clip, nil
		}
		if try == lastTry {
			return playlist.Clip{}, refuse("ingest.level", proof.lufs, proof.peak)
		}
		if over > 0 {
			ceiling -= over + 0.3*float64(try+1)
		}
		target += off
		if gain, err = w.s.rehearse(target, ceiling); err != nil {
			if over <= 0 && math.Abs(off) <= 1 {
				return clip, nil // it comes no nearer
			}
			return playlist.Clip{}, err
		}
	}
}

// encode encodes the source once, and proves the clip.
func (w *making) encode(ctx context.Context, gain, ceiling float64, try int) (clip playlist.Clip, p proof, err error) {
	base, span := 30.0, 70.0
	if try > 0 {
		base, span = 90, 10
	}
	limited, err := w.g.encode(ctx, w.s, gain, ceiling, w.file, w.within(base, span*0.45))
	w.fig.Spent.Encode += since(&w.began)
	if err != nil {
		return clip, p, err
	}
	if clip, err = w.g.admit(w.file); err != nil {
		return clip, p, err
	}
	p, err = w.g.prove(ctx, w.s, w.file, true, w.within(base+span*0.45, span*0.55))
	w.fig.Spent.Prove += since(&w.began)
	if err != nil {
		return clip, p, err
	}
	w.fig.record(p)
	w.fig.GainDB, w.fig.LimitedDB = gain, limited
	return clip, p, nil
}
