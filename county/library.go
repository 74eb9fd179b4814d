package county

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"dalaba/county/store"
	"dalaba/ingest"
	"dalaba/playlist"
)

// clipStore keeps the clips and their files.
type clipStore interface {
	ingest.Shelf
	Clips(ctx context.Context, series string) ([]playlist.Clip, error)
	OpenClip(id playlist.ClipID) (*os.File, error)
}

// library is the county's clips.
type library struct {
	store  clipStore
	ingest *ingest.Ingester // nil: no new clips are made
}

func (l *library) clips(ctx context.Context, series string) ([]playlist.Clip, error) {
	return l.store.Clips(ctx, series)
}

func (l *library) clip(ctx context.Context, id playlist.ClipID) (playlist.Clip, error) {
	clip, _, err := l.store.Clip(ctx, id)
	return clip, err
}

// AddedClip is what became of a file that was handed in.
type AddedClip struct {
	Clip    playlist.Clip  `json:"clip"`
	Known   bool           `json:"known"`
	Changed bool           `json:"changed"`
	Figures ingest.Figures `json:"figures"`

	Replaced []playlist.Clip `json:"replaced,omitempty"` // see [ingest.Outcome]
	Beside   []playlist.Clip `json:"beside,omitempty"`
	By       *playlist.Clip  `json:"by,omitempty"`
}

// add makes a clip of a file that is handed in under a name, as part of a handing-in
// that began then; zero: alone. Folder is the series for which its folder stands there;
// it may be empty.
func (l *library) add(ctx context.Context, name, folder string, meta ingest.Meta, since time.Time, file io.Reader) (AddedClip, error) {
	if l.ingest == nil {
		return AddedClip{}, invalid("county.no_ingest")
	}
	dir, err := os.MkdirTemp(l.ingest.TempDir, "upload")
	if err != nil {
		return AddedClip{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, filepath.Base(filepath.Clean("/"+name)))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return AddedClip{}, invalid("county.bad_name", plain(name))
	}
	_, err = io.Copy(f, file)
	if err = errors.Join(err, f.Close()); err != nil {
		return AddedClip{}, err
	}
	out, err := l.ingest.Take(ctx, ingest.Item{Path: path, Meta: meta, Folder: folder, Since: since}, l.store, nil)
	return AddedClip{
		Clip: out.Clip, Known: out.Known, Changed: out.Changed, Figures: out.Figures,
		Replaced: out.Replaced, Beside: out.Beside, By: out.By,
	}, err
}

// open opens a clip's file to send it.
func (l *library) open(id playlist.ClipID) (io.ReadSeekCloser, int64, error) {
	f, err := l.store.OpenClip(id)
	if errors.Is(err, store.ErrNotFound) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, 0, err
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, fi.Size(), nil
}
