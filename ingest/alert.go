package ingest

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"dalaba/playlist"
	"dalaba/playlist/emergency"
)

// AlertClips makes the air clips of alerts, in a controller and at the county:
// from the sound that came with an alert, from its text, or from other words.
type AlertClips struct {
	Ingester *Ingester // the programs that it runs for alerts have priority over those of imports

	// Shelve stores a clip that was made.
	Shelve func(ctx context.Context, c playlist.Clip, r io.Reader) error
}

// Convert makes a clip from a sound that came with an alert, however much of the
// sound is missing: an alert airs a damaged sound if it has no text. Damaged, of
// the figures, says whether an import would refuse it, so that the caller can
// choose between sound and text; their Warnings say what is wrong with it.
func (m AlertClips) Convert(ctx context.Context, a emergency.Alert, sound emergency.Audio) (c playlist.Clip, f Figures, err error) {
	dir, err := os.MkdirTemp(m.Ingester.TempDir, "dalaba-alert-")
	if err != nil {
		return c, f, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "sound"+strings.ToLower(filepath.Ext(filepath.Base(sound.Name))))
	if err := os.WriteFile(path, sound.Data, 0o600); err != nil {
		return c, f, err
	}
	res, err := m.Ingester.Urgent().File(ctx, path, Meta{Title: a.Headline(), AsIs: true}, nil)
	if err != nil {
		return c, f, err
	}
	c, err = m.shelve(ctx, res)
	return c, res.Figures, err
}

// Speak makes a clip from an alert's words in a language.
func (m AlertClips) Speak(ctx context.Context, words, language, title string) (c playlist.Clip, err error) {
	res, err := m.Ingester.Urgent().Text(ctx, words, Meta{Title: title, Language: language, Text: words}, nil)
	if err != nil {
		return c, err
	}
	return m.shelve(ctx, res)
}

func (m AlertClips) shelve(ctx context.Context, res Result) (c playlist.Clip, err error) {
	f, err := os.Open(res.Path)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(res.Path)) }()
	return res.Clip, m.Shelve(ctx, res.Clip, f)
}
