package site

import (
	"io"

	"dalaba/ingest"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/config"
)

// NewIngester makes clips as the config says, proven with the player's own
// door check and decoder; what it makes on the way lies in dir.
func NewIngester(c config.Ingest, dir string) *ingest.Ingester {
	return &ingest.Ingester{
		FFmpeg: c.FFmpeg, FFprobe: c.FFprobe,
		Speech: ingest.Speech{Command: c.Speech, Pace: c.Pace, Words: c.Words},
		Limits: ingest.Limits{Wall: c.Timeout},
		Door: func(r io.Reader) (playlist.Clip, error) {
			info, err := player.Scan(r)
			return playlist.Clip{ID: info.ID, Frames: info.Frames, Size: info.Size}, err
		},
		Decode:  func(r io.Reader) (ingest.Samples, error) { return player.OpenClip(r) },
		TempDir: dir,
	}
}
