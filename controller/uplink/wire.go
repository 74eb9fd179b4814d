package uplink

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"dalaba/controller/files"
	"dalaba/data"
	"dalaba/link"
	"dalaba/playlist"
)

// Wire is a controller's store as the link sees it.
type Wire struct {
	*data.Store
	Since time.Time // the enrolment that the documents to be kept belong to
}

var _ link.ControllerStore = Wire{}

// Documents returns the envelopes kept.
func (w Wire) Documents(ctx context.Context) ([]link.Stored, error) {
	docs, err := w.Store.Documents(ctx)
	all := make([]link.Stored, len(docs))
	for i, d := range docs {
		all[i] = link.Stored{
			Have: link.Have{Kind: link.Kind(d.Kind), Scope: d.Scope, Version: d.Version, Digest: d.Digest},
			Raw:  d.Raw,
		}
	}
	return all, err
}

// Keep keeps a document and forgets those that it voids.
func (w Wire) Keep(ctx context.Context, d link.Document) error {
	var forget []data.Document
	for _, h := range d.Voids {
		forget = append(forget, kept(h, nil))
	}
	return w.KeepDocument(ctx, kept(d.Have, d.Raw), forget, w.Since)
}

// Adopt keeps the documents of an enrolment in the place of all others.
func (w Wire) Adopt(ctx context.Context, e link.Enrolled) error {
	return w.Store.Adopt(ctx, time.Now(), kept(e.Trust.Have, e.Trust.Raw), kept(e.Member.Have, e.Member.Raw))
}

// kept is a document as the store keeps it.
func kept(h link.Have, raw []byte) data.Document {
	return data.Document{Kind: string(h.Kind), Scope: h.Scope, Version: h.Version, Digest: h.Digest, Raw: raw}
}

// SetAside notes a receipt that the county cannot keep.
func (w Wire) SetAside(ctx context.Context, r link.Refused) error {
	return w.Store.SetAside(ctx, link.Mark{Epoch: r.Epoch, Seq: r.Seq}, r.Why)
}

// Events returns the oldest events that the county lacks and on which its people
// may have to act: warnings and errors.
func (w Wire) Events(ctx context.Context, limit int) ([]link.Event, error) {
	return w.UnsentEvents(ctx, int(slog.LevelWarn), limit)
}

// PutClip keeps a clip that is fit to air. It removes a clip that is not: what
// go-mp3 would turn into noise must not reach an output, even with a valid
// signature.
func (w Wire) PutClip(ctx context.Context, c playlist.Clip, src io.Reader) error {
	if err := w.Store.PutClip(ctx, c, src); err != nil {
		return err
	}
	if _, err := files.Scan(w.ClipPath(c.ID)); err != nil {
		return errors.Join(err, w.RemoveClipFile(ctx, c.ID))
	}
	return nil
}
