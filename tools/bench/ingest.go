package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"dalaba/ingest"
	"dalaba/playlist"
)

// ingest measures how long a recording takes to become a clip, by stages. The
// peer is what one would do by hand: ffmpeg's loudnorm in two passes into the
// same format. The peer neither looks for faults nor checks the result.
func (b *bench) ingest(ctx context.Context) ([]Figure, error) {
	length := 10 * time.Minute
	if b.short {
		length = time.Minute
	}
	program, err := b.program(ctx)
	if err != nil {
		return nil, err
	}
	s, err := b.newSite("ingest")
	if err != nil {
		return nil, err
	}
	s.output("pole", "null:")
	config, err := s.config()
	if err != nil {
		return nil, err
	}
	source, err := b.recording(ctx, length)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	said, err := command(ctx, program, "import", "--json", "--lang", "en", "--config", config, source).Output()
	wall := time.Since(began).Seconds()
	if err != nil {
		return nil, fmt.Errorf("dalaba import: %w: %s", err, said)
	}
	var took []struct {
		Verdict string
		Clip    *playlist.Clip
		Figures *ingest.Figures
	}
	if err := json.Unmarshal(said, &took); err != nil {
		return nil, fmt.Errorf("dalaba import: %w: %s", err, said)
	}
	if len(took) != 1 || took[0].Verdict != "taken" || took[0].Figures == nil {
		return nil, fmt.Errorf("dalaba import did not take it: %s", said)
	}
	spent := took[0].Figures.Spent
	first, second, err := b.loudnorm(ctx, source)
	if err != nil {
		return nil, err
	}
	const (
		peer = "ffmpeg loudnorm in two passes"
		none = "none: the peer does not do it"
	)
	name := fmt.Sprintf("ingest of %.0f min", length.Minutes())
	theirs := first + second
	return []Figure{
		figure(name, wall, "s", peer, theirs, 1),
		figure(name+", speed", length.Seconds()/wall, "xRT", peer, length.Seconds()/theirs, 1),
		figure(name+", looking into it", spent.Probe, "s", none, 0, 1),
		figure(name+", measuring", spent.Measure, "s", "ffmpeg loudnorm, first pass", first, 1),
		figure(name+", encoding", spent.Encode, "s", "ffmpeg loudnorm, second pass", second, 1),
		figure(name+", proving", spent.Prove, "s", none, 0, 1),
		figure(name+", start, store and end", wall-spent.Total(), "s", none, 0, 1),
	}, nil
}

// recording makes speech in a common format: MP3, 44.1 kHz, stereo, 128 kbps.
func (b *bench) recording(ctx context.Context, length time.Duration) (string, error) {
	reel, err := b.reel("reel.mp3", length)
	if err != nil {
		return "", err
	}
	path := filepath.Join(b.dir, "recording.mp3")
	c := command(ctx, "ffmpeg", "-v", "error", "-i", reel, "-t", fmt.Sprint(length.Seconds()),
		"-ar", "44100", "-ac", "2", "-b:a", "128k", path)
	if said, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("ffmpeg: %w: %s", err, said)
	}
	return path, nil
}

// loudnorm returns how many seconds each pass takes.
func (b *bench) loudnorm(ctx context.Context, source string) (first, second float64, err error) {
	const target = "loudnorm=I=-16:TP=-1.5:LRA=11"
	pass := func(args ...string) ([]byte, float64, error) {
		began := time.Now()
		said, err := command(ctx, "ffmpeg", append([]string{"-hide_banner", "-nostats", "-i", source}, args...)...).CombinedOutput()
		if err != nil {
			return nil, 0, fmt.Errorf("ffmpeg: %w: %s", err, said)
		}
		return said, time.Since(began).Seconds(), nil
	}
	said, first, err := pass("-af", target+":print_format=json", "-f", "null", "-")
	if err != nil {
		return 0, 0, err
	}
	var m struct {
		I      string `json:"input_i"`
		TP     string `json:"input_tp"`
		LRA    string `json:"input_lra"`
		Thresh string `json:"input_thresh"`
		Offset string `json:"target_offset"`
	}
	if err := json.Unmarshal(said[max(0, bytes.LastIndexByte(said, '{')):bytes.LastIndexByte(said, '}')+1], &m); err != nil {
		return 0, 0, fmt.Errorf("ffmpeg loudnorm: %w: %s", err, said)
	}
	_, second, err = pass("-af", fmt.Sprintf("%s:measured_I=%s:measured_TP=%s:measured_LRA=%s:measured_thresh=%s:offset=%s:linear=true",
		target, m.I, m.TP, m.LRA, m.Thresh, m.Offset),
		"-ar", "48000", "-ac", "1", "-b:a", "64k", "-map_metadata", "-1", "-write_xing", "0", "-id3v2_version", "0",
		filepath.Join(b.dir, "loudnorm.mp3"))
	return first, second, err
}
