package link

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"dalaba/playlist"
)

// Carrier is a folder, such as one on a USB stick, that brings documents and clips
// to controllers that have no network, and brings their receipts back. It holds
// the same messages that the network would carry, and they are verified in the
// same way.
//
//	documents/<kind>.<scope>.json   envelopes
//	documents/trust.<version>.json  the trust documents before the one in force
//	clips/<ID>.mp3
//	receipts/<controller>/<epoch>-<number>.json   batches, signed by the controller
//	stamps/<controller>.json        which of them the county has stored
type Carrier struct{ Dir string }

const maxCarried = 20000 // files in one folder

// PutDocument writes an envelope to the carrier. It replaces an earlier one of the
// same kind and scope.
func (c Carrier) PutDocument(s Stored) error {
	name := string(s.Kind)
	if s.Kind != KindTrust {
		name += "." + scopeToken(s.Scope)
	}
	return c.writeFile(path.Join("documents", name+".json"), s.Raw)
}

// PutEarlierTrust writes a trust document that is no longer in force: a controller
// that was away may need it to verify the one that is. The names sort by version and
// before that of the one in force, because controllers of release 0.1 read the files
// in that order.
func (c Carrier) PutEarlierTrust(s Stored) error {
	return c.writeFile(path.Join("documents", fmt.Sprintf("trust.%016d.json", s.Version)), s.Raw)
}

// PutClip writes a clip to the carrier, unless it is there already.
func (c Carrier) PutClip(id playlist.ClipID, src io.Reader) error {
	name := filepath.Join(c.Dir, "clips", string(id)+".mp3")
	if f, err := os.Open(name); err == nil {
		err = checkHash(f, id)
		f.Close()
		if err == nil {
			return nil
		}
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := renameio.NewPendingFile(name, renameio.WithStaticPermissions(0o644))
	if err != nil {
		return err
	}
	defer func() { _ = f.Cleanup() }()
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, sum), src); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != string(id) {
		return fmt.Errorf("%w: clip %s has other bytes", ErrMalformed, id.Short())
	}
	return f.CloseAtomicallyReplace()
}

// writeFile writes a file of the carrier and makes the folders that it needs.
func (c Carrier) writeFile(name string, b []byte) error {
	full := filepath.Join(c.Dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	return renameio.WriteFile(full, b, 0o644, renameio.WithStaticPermissions(0o644))
}

// carrierFile is a file of a carrier and its content.
type carrierFile struct {
	name string
	raw  []byte
}

// jsonFiles reads the JSON files of a folder, in the order of their names. It skips
// everything that is not a regular file, and follows no symbolic link that leads out
// of the carrier.
func (c Carrier) jsonFiles(dir string) ([]carrierFile, error) {
	root, err := os.OpenRoot(c.Dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	list, err := fs.ReadDir(root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(list) > maxCarried {
		return nil, fmt.Errorf("%w: %d files in %s", ErrOversized, len(list), dir)
	}
	var all []carrierFile
	for _, e := range list {
		if !e.Type().IsRegular() || path.Ext(e.Name()) != ".json" || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		name := path.Join(dir, e.Name())
		f, err := root.Open(name)
		if err != nil {
			return all, err
		}
		raw, err := io.ReadAll(io.LimitReader(f, MaxEnvelope+1)) // one byte more, so that a larger file is refused as too large
		f.Close()
		if err != nil {
			return all, err
		}
		all = append(all, carrierFile{name, raw})
	}
	return all, nil
}

// openClip opens a clip after checking its bytes against its ID.
func (c Carrier) openClip(id playlist.ClipID) (*os.File, error) {
	root, err := os.OpenRoot(c.Dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	name := path.Join("clips", string(id)+".mp3")
	if fi, err := root.Stat(name); err != nil || !fi.Mode().IsRegular() {
		return nil, errors.Join(err, fs.ErrNotExist)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	if err := checkHash(f, id); err != nil {
		f.Close()
		return nil, err
	}
	_, err = f.Seek(0, io.SeekStart)
	return f, err
}

// checkHash reads f and reports whether it holds the bytes of the clip.
func checkHash(f io.Reader, id playlist.ClipID) error {
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != string(id) {
		return fmt.Errorf("%w: clip %s has other bytes", ErrMalformed, id.Short())
	}
	return nil
}

// Carried reports what an import did with the files of a carrier.
type Carried struct {
	Accepted []Have             // documents accepted
	Known    int                // documents of which the controller already had this version or a newer one
	Others   int                // documents for other controllers
	Refused  map[string]error   // by file
	Clips    []playlist.ClipID  // clips stored
	Missing  []playlist.ClipID  // clips needed that neither the store nor the carrier has
	Receipts int                // receipts written to the carrier, or stored from it
	Gaps     map[string][]int64 // by controller/epoch: the first receipt number that is missing before each batch
}

func (r *Carried) refuse(name string, err error) {
	if r.Refused == nil {
		r.Refused = map[string]error{}
	}
	r.Refused[name] = err
}

// Import accepts what a carrier brings for this controller and writes to it the
// receipts that the county has not acknowledged. It checks everything as if it had
// come by the network. Import works whether or not Run is running.
func (c *Controller) Import(ctx context.Context, from Carrier) (Carried, error) {
	var r Carried
	m, err := c.Member(ctx)
	if err != nil {
		return r, err
	}
	docs, err := from.jsonFiles("documents")
	if err != nil {
		return r, err
	}
	kind := func(f carrierFile) int { return urgency(Kind(strings.SplitN(path.Base(f.name), ".", 2)[0])) }
	slices.SortStableFunc(docs, func(a, b carrierFile) int { return cmp.Compare(kind(a), kind(b)) })
	if err := c.importDocuments(ctx, docs, &r); err != nil {
		return r, err
	}
	if err := c.importClips(ctx, from, &r); err != nil {
		return r, err
	}
	if err := c.importStamp(ctx, from, m); err != nil {
		r.refuse("stamps/"+string(m.Controller)+".json", err)
	}
	return r, c.exportReceipts(ctx, from, m, &r)
}

// importDocuments accepts documents, in the order given. A trust document that
// cannot be verified is tried again after each other one that was accepted, because
// that may be the version before it.
func (c *Controller) importDocuments(ctx context.Context, docs []carrierFile, r *Carried) error {
	var waiting []carrierFile // trust documents that could not be verified
	for len(docs) > 0 {
		f := docs[0]
		docs = docs[1:]
		d, err := c.Take(ctx, f.raw)
		switch {
		case err == nil:
			r.Accepted = append(r.Accepted, d.Have)
			c.Log.Info("document accepted", "by", "carrier", "kind", d.Kind, "scope", d.Scope, "version", d.Version)
			if d.Trust != nil {
				docs, waiting = append(waiting, docs...), nil
			}
		case errors.Is(err, ErrReplayed), errors.Is(err, ErrRolledBack):
			r.Known++
		case errors.Is(err, ErrWrongScope):
			r.Others++
		case ctx.Err() != nil:
			return ctx.Err()
		case missesTrust(d, err):
			waiting = append(waiting, f)
			r.refuse(f.name, err)
			continue
		default:
			r.refuse(f.name, err)
			continue
		}
		delete(r.Refused, f.name) // it may have waited
	}
	return nil
}

// importClips stores the clips that the kept documents need.
func (c *Controller) importClips(ctx context.Context, from Carrier, r *Carried) error {
	docs, err := c.Store.Documents(ctx)
	if err != nil {
		return err
	}
	needed := map[playlist.ClipID]playlist.Clip{}
	for _, s := range docs {
		d, err := Open(s.Raw, c.trusted())
		if err != nil {
			continue
		}
		for _, clip := range d.Clips() {
			needed[clip.ID] = clip
		}
	}
	for _, id := range slices.Sorted(maps.Keys(needed)) {
		if ok, err := c.Store.HasClip(ctx, id); err != nil || ok {
			if err != nil {
				return err
			}
			continue
		}
		f, err := from.openClip(id)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			r.Missing = append(r.Missing, id)
			continue
		case err != nil:
			r.Missing = append(r.Missing, id)
			r.refuse("clips/"+string(id)+".mp3", err)
			continue
		}
		err = c.Store.PutClip(ctx, needed[id], f)
		f.Close()
		switch {
		case err == nil:
			r.Clips = append(r.Clips, id)
		case ctx.Err() != nil:
			return ctx.Err()
		default: // go on: other clips may fit, and the receipts must still be written
			r.Missing = append(r.Missing, id)
			r.refuse("clips/"+string(id)+".mp3", err)
		}
	}
	return nil
}

// Clips returns the clips that a document needs.
func (d Document) Clips() []playlist.Clip {
	var all []playlist.Clip
	if d.Manifest != nil {
		all = append(all, d.Manifest.Clips...)
	}
	if d.Alerts != nil {
		for _, a := range d.Alerts.Alerts {
			if a.Clip != nil {
				all = append(all, *a.Clip)
			}
		}
	}
	return all
}

// importStamp sets the marks as the county's stamp on the carrier says. The stamp
// may be old. So it lowers a mark only if it says "gap": then the county lacked
// receipts before those that the carrier brought. If such a stamp is old, some
// receipts are sent again that the county has, and it ignores them.
func (c *Controller) importStamp(ctx context.Context, from Carrier, m Member) error {
	files, err := from.jsonFiles("stamps")
	if err != nil {
		return err
	}
	for _, f := range files {
		if path.Base(f.name) != string(m.Controller)+".json" {
			continue
		}
		s, err := OpenStamp(f.raw, c.trusted(), m.Controller, "")
		if err != nil {
			return err
		}
		mine, err := c.Store.Marks(ctx)
		if err != nil {
			return err
		}
		for _, have := range mine {
			theirs, ok := s.mark(have.Epoch)
			if ok && (theirs.Seq > have.Seq || theirs.Seq < have.Seq && s.Refused == "gap") {
				if theirs.Seq < have.Seq {
					c.Log.Warn("county lost receipts, sending them again", "epoch", have.Epoch, "had", have.Seq, "has", theirs.Seq)
				}
				fresh := slices.DeleteFunc(slices.Clone(s.Aside), func(r Refused) bool { return r.Seq <= have.Seq })
				if err := c.setAside(ctx, fresh, theirs); err != nil {
					return err
				}
				if err := c.Store.SetMark(ctx, theirs); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// exportReceipts writes the receipts that the county lacks to the carrier and
// removes the files that an earlier export wrote.
func (c *Controller) exportReceipts(ctx context.Context, to Carrier, m Member, r *Carried) error {
	dir := path.Join("receipts", string(m.Controller))
	kept, after := map[string]bool{}, Mark{}
	for {
		b, e, err := c.batch(ctx, m, "", after)
		if err != nil {
			return err
		}
		if len(b.Receipts) == 0 {
			break
		}
		name := fmt.Sprintf("%s-%012d.json", b.Epoch, b.Receipts[0].Row.Seq)
		if err := to.writeFile(path.Join(dir, name), e.Bytes()); err != nil {
			return err
		}
		kept[name] = true
		after = Mark{Epoch: b.Epoch, Seq: b.Receipts[len(b.Receipts)-1].Row.Seq}
		r.Receipts += len(b.Receipts)
	}
	old, err := os.ReadDir(filepath.Join(to.Dir, filepath.FromSlash(dir)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, f := range old {
		if !kept[f.Name()] && path.Ext(f.Name()) == ".json" {
			err = errors.Join(err, os.Remove(filepath.Join(to.Dir, filepath.FromSlash(dir), f.Name())))
		}
	}
	return err
}

// Import stores the receipts that a carrier brought back and writes a stamp for each
// controller to it. It does not use Conn.
func (e *Edge) Import(ctx context.Context, from Carrier) (Carried, error) {
	var r Carried
	list, err := os.ReadDir(filepath.Join(from.Dir, "receipts"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return r, err
	}
	for _, dir := range list {
		if !dir.IsDir() || !playlist.IsToken(dir.Name()) {
			continue
		}
		files, err := from.jsonFiles(path.Join("receipts", dir.Name()))
		if err != nil {
			return r, err
		}
		marks := map[string]Mark{}
		s := Stamp{Controller: playlist.ControllerID(dir.Name())}
		for _, f := range files {
			m, aside, n, err := e.importBatch(ctx, playlist.ControllerID(dir.Name()), f.raw)
			r.Receipts += n
			switch {
			case errors.Is(err, ErrGap):
				if r.Gaps == nil {
					r.Gaps = map[string][]int64{}
				}
				key := dir.Name() + "/" + m.Epoch
				r.Gaps[key] = append(r.Gaps[key], m.Seq+1)
				s.Refused = "gap"
			case ctx.Err() != nil:
				return r, ctx.Err()
			case err != nil:
				r.refuse(f.name, err)
				continue
			}
			marks[m.Epoch] = m
			s.Aside = append(s.Aside, aside...)
		}
		for _, epoch := range slices.Sorted(maps.Keys(marks)) {
			s.Marks = append(s.Marks, marks[epoch])
		}
		if len(s.Marks) == 0 {
			continue
		}
		text, err := e.stamp(s)
		if err == nil {
			err = from.writeFile(path.Join("stamps", dir.Name()+".json"), text)
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

// importBatch stores one batch. n is how many of its receipts are new.
func (e *Edge) importBatch(ctx context.Context, id playlist.ControllerID, raw []byte) (m Mark, aside []Refused, n int, err error) {
	env, err := ParseEnvelope(raw)
	if err != nil {
		return m, nil, 0, err
	}
	reg, _, err := e.admit(ctx, id)
	if err != nil {
		return m, nil, 0, err
	}
	b, err := OpenBatch(env, reg.Key)
	if err != nil {
		return m, nil, 0, err
	}
	if b.Controller != id {
		return m, nil, 0, ErrImposter
	}
	before, err := e.Store.Marks(ctx, id, []string{b.Epoch})
	if err != nil {
		return m, nil, 0, err
	}
	if m, err = e.Store.Commit(ctx, b); err != nil {
		return m, nil, 0, err
	}
	aside = e.logRefused(b)
	if len(before) == 1 {
		n = int(max(0, m.Seq-max(before[0].Seq, b.Receipts[0].Row.Seq-1)))
	}
	return m, aside, n, nil
}
