package ingest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"dalaba/playlist"
)

// Shelf stores clips: the store of a controller, or of the county.
type Shelf interface {
	// Clip returns a clip and the path of its file, or an error if there is
	// none. If only the file is missing, it returns the clip with the error.
	Clip(ctx context.Context, id playlist.ClipID) (playlist.Clip, string, error)

	// VerifyClip reads a clip's file and returns an error if it is missing or
	// damaged.
	VerifyClip(ctx context.Context, id playlist.ClipID) error

	// AddClip stores a clip and its bytes; adding it again replaces its
	// metadata.
	AddClip(ctx context.Context, c playlist.Clip, src io.Reader) error

	// SetFigures stores a clip's Figures, as JSON.
	SetFigures(ctx context.Context, id playlist.ClipID, figures json.RawMessage) error

	// SourceKnown finds the clip that was made from a source by the same
	// recipe, by path, size and modification time, or by hash if one is given.
	SourceKnown(ctx context.Context, src playlist.ClipSource) (id playlist.ClipID, ok bool, err error)

	// NoteSource records which clip was made from a source.
	NoteSource(ctx context.Context, src playlist.ClipSource, id playlist.ClipID) error

	// Shelf returns the clips of a series whose files exist.
	Shelf(ctx context.Context, series string) ([]playlist.Shelved, error)

	// Lineage returns which clips were replaced by which.
	Lineage(ctx context.Context) (playlist.Lineage, error)

	// ReplaceClip notes that a clip was replaced by another.
	ReplaceClip(ctx context.Context, old, by playlist.ClipID) error
}

// Outcome is the result of importing an item.
type Outcome struct {
	Clip    playlist.Clip
	Figures Figures // zero if Known
	Known   bool    // it was imported before; no work was done
	Changed bool    // known, but its title, series, issue, language or tags have changed

	Replaced []playlist.Clip // earlier clips of the lesson, whose place the new one takes
	Beside   []playlist.Clip // others that have its issue number, and air beside it
	By       *playlist.Clip  // known, and replaced by this one: it does not air

	// Named is the clip as the file's new name or folder has it, if it was known under
	// another series or issue, which it keeps.
	Named *playlist.Clip
}

// Take makes a clip from an item and stores it on the shelf. An item imported
// before is recognised by its source and is not made again; only the metadata
// that the operator now gives is changed. If the item cannot be imported the
// error is an ErrRefused.
func (g *Ingester) Take(ctx context.Context, item Item, shelf Shelf, progress Progress) (Outcome, error) {
	g = g.in(item)
	src, err := g.openSource(item.Path)
	if err != nil {
		return Outcome{}, err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return Outcome{}, err
	}
	path, err := filepath.Abs(item.Path)
	if err != nil {
		return Outcome{}, err
	}
	from := playlist.ClipSource{Path: path, Size: info.Size(), MTime: info.ModTime(), Recipe: Recipe}
	if item.isText() {
		from.Recipe = g.Speech.Recipe()
	}
	known, ok, err := shelf.SourceKnown(ctx, from)
	if err != nil {
		return Outcome{}, err
	}
	moved := !ok
	if moved {
		hash := sha256.New()
		if _, err := io.Copy(hash, io.NewSectionReader(src, 0, info.Size())); err != nil {
			return Outcome{}, err
		}
		from.SHA256 = hex.EncodeToString(hash.Sum(nil))
		if known, ok, err = shelf.SourceKnown(ctx, from); err != nil {
			return Outcome{}, err
		}
		if ok {
			if err := shelf.NoteSource(ctx, from, known); err != nil {
				return Outcome{}, err
			}
		}
	}
	if ok {
		if out, err := g.updateKnown(ctx, item, known, shelf); err == nil || errors.Is(err, ErrRefused) {
			if err == nil {
				err = out.place(ctx, item, shelf)
			}
			if moved {
				out.Named = g.named(item, out.Clip)
			}
			return out, err
		}
	}

	res, err := g.item(ctx, item, src, progress)
	if err != nil {
		return Outcome{}, err
	}
	defer os.Remove(res.Path)
	out := Outcome{Clip: res.Clip, Figures: res.Figures}
	if kept, _, err := intact(ctx, shelf, res.Clip.ID); err == nil {
		if out, err = g.updateKnown(ctx, item, res.Clip.ID, shelf); err != nil {
			return Outcome{}, err
		}
	} else {
		if kept.ID != "" { // its file is lost, but not its metadata
			if res.Clip, err = g.withMeta(item, kept); err != nil {
				return Outcome{}, err
			}
			out.Clip = res.Clip
		}
		if err := add(ctx, shelf, res.Clip, res.Path); err != nil {
			return Outcome{}, err
		}
		figures, err := json.Marshal(res.Figures)
		if err != nil {
			return Outcome{}, err
		}
		if err := shelf.SetFigures(ctx, res.Clip.ID, figures); err != nil {
			return Outcome{}, err
		}
	}
	if err := out.place(ctx, item, shelf); err != nil {
		return Outcome{}, err
	}
	return out, shelf.NoteSource(ctx, from, res.Clip.ID)
}

// place finds the earlier clips of the lesson and notes that a new clip replaces them.
// It replaces none that was handed in together with it, nor another lesson that has its
// number: that is a mistake, of which the operator must hear, and no lesson may be lost
// for it.
func (o *Outcome) place(ctx context.Context, item Item, shelf Shelf) error {
	if o.Clip.Series == "" {
		return nil
	}
	lineage, err := shelf.Lineage(ctx)
	if err != nil {
		return err
	}
	all, err := shelf.Shelf(ctx, o.Clip.Series)
	if err != nil {
		return err
	}
	here := map[playlist.ClipID]playlist.Clip{}
	for _, c := range all {
		here[c.ID] = c.Clip
	}
	isHere := func(id playlist.ClipID) bool { _, ok := here[id]; return ok }
	if by, ok := lineage.Replacement(o.Clip.ID, isHere); ok {
		c := here[by]
		o.By = &c
		return nil
	}
	var same, twins []playlist.Clip // clips of the lesson, and those of the same title
	for _, c := range all {
		_, gone := lineage.Replacement(c.ID, isHere)
		together := !item.Since.IsZero() && !c.Added.Before(item.Since)
		switch {
		case gone || c.ID == o.Clip.ID || o.Known && !o.Changed:
		case o.Known || together || !o.Clip.SameLesson(c.Clip):
			if o.Clip.SameNumber(c.Clip) || o.Clip.SameLesson(c.Clip) {
				o.Beside = append(o.Beside, c.Clip)
			}
		case strings.EqualFold(c.Title, o.Clip.Title):
			twins = append(twins, c.Clip)
		default:
			same = append(same, c.Clip)
		}
	}
	if len(twins) > 0 {
		same = twins // the others are other parts, or air beside it because they are to
	}
	if len(same) > 1 {
		o.Beside = append(o.Beside, same...)
		return nil // it may be meant for either
	}
	for _, old := range same {
		if err := shelf.ReplaceClip(ctx, old.ID, o.Clip.ID); err != nil {
			return err
		}
		o.Replaced = append(o.Replaced, old)
	}
	return nil
}

// named returns the clip as the item's name and folder have it, nil if they say nothing
// else. What is said of the item in other places has been put into the clip already.
func (g *Ingester) named(item Item, c playlist.Clip) *playlist.Clip {
	said, err := g.Said(item)
	if err != nil || isTOML(item.Path) {
		return nil
	}
	m := item.called(said, Meta{})
	if (m.Issue == 0 || m.Issue == c.Issue) && (m.Series == "" || m.Series == c.Series) {
		return nil
	}
	c.Title, c.Issue, c.Series = m.Title, cmp.Or(m.Issue, c.Issue), cmp.Or(m.Series, c.Series)
	return &c
}

// intact returns a clip and its path, or an error if its file is missing or
// damaged: importing such a clip again replaces the file.
func intact(ctx context.Context, shelf Shelf, id playlist.ClipID) (playlist.Clip, string, error) {
	c, path, err := shelf.Clip(ctx, id)
	if err == nil {
		err = shelf.VerifyClip(ctx, id)
	}
	return c, path, err
}

func add(ctx context.Context, shelf Shelf, c playlist.Clip, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return shelf.AddClip(ctx, c, f)
}

// updateKnown gives a clip on the shelf the metadata that the operator now gives.
func (g *Ingester) updateKnown(ctx context.Context, item Item, id playlist.ClipID, shelf Shelf) (Outcome, error) {
	clip, path, err := intact(ctx, shelf, id)
	if err != nil {
		return Outcome{}, err
	}
	renewed, err := g.withMeta(item, clip)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Clip: renewed, Known: true}
	before, err := json.Marshal(clip)
	if err != nil {
		return Outcome{}, err
	}
	after, err := json.Marshal(renewed)
	if err != nil {
		return Outcome{}, err
	}
	if out.Changed = string(before) != string(after); out.Changed {
		err = add(ctx, shelf, renewed, path)
	}
	return out, err
}

// withMeta returns the clip with the metadata that the operator gives with an
// item.
func (g *Ingester) withMeta(item Item, clip playlist.Clip) (playlist.Clip, error) {
	in, err := g.sidecar(item.Path)
	if isTOML(item.Path) {
		var raw []byte
		if raw, err = g.readSmall(item.Path); err == nil {
			in, err = lesson(item.Path, raw)
		}
	}
	if err != nil {
		return clip, err
	}
	if item.isText() && !isTOML(item.Path) {
		in.Text = "" // the text is the content of the file
	}
	// The list, the folder and the names say only what was not said before.
	return item.called(item.Meta.Or(in).tidy().Or(metaOf(clip)), item.Listed).on(clip), nil
}

// item makes the clip of an open item.
func (g *Ingester) item(ctx context.Context, item Item, src *os.File, progress Progress) (Result, error) {
	if err := notSound(item.Path); err != nil {
		return Result{}, err
	}
	if item.isText() {
		meta, err := g.textOf(item, src)
		if err != nil {
			return Result{}, err
		}
		return g.Text(ctx, meta.Text, meta, progress)
	}
	t := time.Now()
	describe, err := g.fileMeta(item)
	if err != nil {
		return Result{}, err
	}
	var fig Figures
	fig.Spent.Probe = since(&t)
	taker := *g
	taker.arriving = item.Arriving
	return taker.convert(ctx, src, describe, describe(Meta{}).AsIs, fig, progress)
}

// textOf reads a text to be spoken: a plain file, whose name is the title
// unless a sidecar gives one, or a TOML file with title, series, issue and
// text. What is spoken is what was opened, even if the name is another file's by now.
func (g *Ingester) textOf(item Item, src *os.File) (Meta, error) {
	raw, err := readText(src)
	if err != nil {
		return Meta{}, err
	}
	if isTOML(item.Path) {
		in, err := lesson(item.Path, raw)
		if err != nil {
			return Meta{}, err
		}
		return item.called(item.Meta.Or(in), item.Listed), nil
	}
	text := decodeText(raw, "")
	if strings.TrimSpace(text) == "" || strings.IndexByte(text, 0) >= 0 {
		return Meta{}, refuse("ingest.text_broken")
	}
	beside, err := g.sidecar(item.Path)
	if err != nil {
		return Meta{}, err
	}
	beside.Text = "" // the text is the content of the file
	return item.called(item.Meta.Or(beside), item.Listed).Or(Meta{Text: text}), nil
}

// lesson reads a TOML file that holds a text to be spoken.
func lesson(path string, raw []byte) (Meta, error) {
	in, err := readMeta(filepath.Base(path), raw)
	if err == nil && strings.TrimSpace(in.Text) == "" {
		err = refuse("ingest.sidecar_alone")
	}
	return in, err
}
