package link

import (
	"bytes"
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
	"slices"
	"strings"

	"dalaba/data/shared"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/say"
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

// The bounds of what is read from one carrier: it may be made so as to fill the memory,
// or to be read for days. One document or batch at a time is in memory.
const (
	maxCarried = 20_000    // files in one folder that are looked at
	maxListed  = 1_000_000 // files in one folder
	maxLoad    = 1 << 30   // bytes of documents and of receipts
	maxRefused = 500       // files that are told one by one
	maxSame    = 256 << 20 // bytes of a clip on it that are compared with one that it is to get
)

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
func (c Carrier) PutClip(id playlist.ClipID, src io.Reader) (err error) {
	to, err := shared.Make(c.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	name := path.Join("clips", string(id)+".mp3")
	if f, err := to.Open(name); err == nil {
		err = checkHash(io.LimitReader(f, maxSame), id)
		f.Close()
		if err == nil {
			return nil
		}
	}
	return to.Replace(name, func(w io.Writer) error {
		sum := sha256.New()
		if _, err := io.Copy(io.MultiWriter(w, sum), src); err != nil {
			return err
		}
		if hex.EncodeToString(sum.Sum(nil)) != string(id) {
			return otherBytes(id)
		}
		return nil
	})
}

// writeFile writes a file of the carrier and makes the folders that it needs.
func (c Carrier) writeFile(name string, b []byte) (err error) {
	to, err := shared.Make(c.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	return put(to, name, b)
}

func put(to *shared.Folder, name string, b []byte) error {
	return to.Replace(name, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// load is a carrier that is being read, within bounds.
type load struct {
	*shared.Folder
	left   int64 // bytes that may still be read
	report *Carried
}

func (c Carrier) open(r *Carried) (*load, error) {
	f, err := shared.Open(c.Dir)
	return &load{f, maxLoad, r}, err
}

// errSpent says that a carrier holds more than is read from one.
var errSpent = errors.New("more than is read from one carrier")

// read reads a document, a batch or a stamp. All errors but errSpent are of that file
// alone. What is none by its first byte is not read: a sparse file costs its maker
// nothing.
func (l *load) read(name string) (raw []byte, err error) {
	if l.left < MaxEnvelope {
		return nil, fault{errSpent, say.M("link.carrier_full", maxLoad>>20)}
	}
	f, err := l.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var head [64]byte
	n, err := f.ReadAt(head[:], 0)
	switch {
	case err != nil && err != io.EOF:
		return nil, err
	case info.Size() > MaxEnvelope:
		return nil, fault{ErrOversized, say.M("link.carrier_large", MaxEnvelope)}
	case !bytes.HasPrefix(bytes.TrimLeft(head[:n], " \t\r\n"), []byte("{")):
		return nil, fault{ErrMalformed, say.M("link.malformed")}
	}
	raw, err = io.ReadAll(io.LimitReader(f, MaxEnvelope+1)) // one byte more, so that a file that grew is refused as too large
	l.left -= int64(len(raw))
	return raw, err
}

// list returns the names of the JSON files in a folder, in the order of first and then
// of their names. What is no regular file is refused. Of a folder with too many files
// those that come first are returned, and the folder is refused.
func (l *load) list(dir string, first func(name string) int) []string {
	sub, err := l.Sub(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		l.report.tell(dir, err)
		return nil
	}
	defer func() { _ = sub.Close() }()
	var names []string
	cut := func() {
		slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(first(a), first(b)), strings.Compare(a, b)) })
		if len(names) > maxCarried {
			names = names[:maxCarried]
			l.report.tell(dir, fault{ErrOversized, say.M("link.carrier_many", maxCarried)})
		}
	}
	err = sub.Each(maxListed, func(e fs.DirEntry) error {
		switch {
		case path.Ext(e.Name()) != ".json" || strings.HasPrefix(e.Name(), "."):
			return nil
		case !e.Type().IsRegular():
			if f, err := sub.Open(e.Name()); err != nil {
				l.report.refuse(path.Join(dir, e.Name()), err)
			} else {
				f.Close()
			}
			return nil
		}
		if names = append(names, path.Join(dir, e.Name())); len(names) == 2*maxCarried {
			cut()
		}
		return nil
	})
	if cut(); err != nil {
		l.report.tell(dir, err)
	}
	return names
}

// openClip opens a clip after checking its bytes against its ID.
func (l *load) openClip(clip playlist.Clip) (*os.File, error) {
	f, err := l.Open(path.Join("clips", string(clip.ID)+".mp3"))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() != clip.Size {
		err = otherBytes(clip.ID)
	}
	if err == nil {
		err = checkHash(io.LimitReader(f, clip.Size), clip.ID)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// checkHash reads f and reports whether it holds the bytes of the clip.
func checkHash(f io.Reader, id playlist.ClipID) error {
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != string(id) {
		return otherBytes(id)
	}
	return nil
}

func otherBytes(id playlist.ClipID) error {
	return fault{ErrMalformed, say.M("link.carrier_clip", id.Short())}
}

// Carried reports what an import did with the files of a carrier.
type Carried struct {
	Accepted []Have             // documents accepted
	Known    int                // documents of which the controller already had this version or a newer one
	Others   int                // documents for other controllers
	Refused  map[string]error   // by file; of very many the last is "...", and says how many more there are
	Clips    []playlist.ClipID  // clips stored
	Missing  []playlist.ClipID  // clips needed that neither the store nor the carrier has
	Receipts int                // receipts written to the carrier, or stored from it
	Gaps     map[string][]int64 // by controller/epoch: the first receipt number that is missing before each batch

	untold int // refused besides those
}

func (r *Carried) refuse(name string, err error) {
	if _, told := r.Refused[name]; !told && len(r.Refused) >= maxRefused {
		r.untold++
		name, err = "...", fault{ErrMalformed, say.M("link.carrier_more", r.untold)}
	}
	r.tell(name, err)
}

// tell is refuse of a whole folder, which is told however much was refused before.
func (r *Carried) tell(folder string, err error) {
	if r.Refused == nil {
		r.Refused = map[string]error{}
	}
	r.Refused[folder] = err
}

// Import accepts what a carrier brings for this controller and writes to it the
// receipts that the county has not acknowledged. It checks everything as if it had
// come by the network. Import works whether or not Run is running.
func (c *Controller) Import(ctx context.Context, from Carrier) (r Carried, err error) {
	m, err := c.Member(ctx)
	if err != nil {
		return r, err
	}
	l, err := from.open(&r)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if err := c.importDocuments(ctx, l, &r); err != nil {
		return r, err
	}
	if err := c.importClips(ctx, l, &r); err != nil {
		return r, err
	}
	if err := c.importStamp(ctx, l, m); err != nil {
		r.refuse(stampFile(m.Controller), err)
	}
	err = c.exportReceipts(ctx, l, m, &r)
	return r, err
}

// importDocuments accepts documents, the most urgent kinds first. A trust document that
// cannot be verified is tried again after each other one that was accepted, because
// that may be the version before it.
func (c *Controller) importDocuments(ctx context.Context, from *load, r *Carried) error {
	docs := from.list("documents", func(name string) int {
		kind := urgency(Kind(strings.SplitN(path.Base(name), ".", 2)[0]))
		if kind < 0 {
			return len(Kinds) // no kind of ours
		}
		return kind
	})
	var waiting []string // trust documents that could not be verified
	for len(docs) > 0 {
		name := docs[0]
		docs = docs[1:]
		raw, err := from.read(name)
		if errors.Is(err, errSpent) {
			r.tell("documents", err)
			return nil
		}
		var d Document
		if err == nil {
			d, err = c.Take(ctx, raw)
		}
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
			waiting = append(waiting, name)
			r.refuse(name, err)
			continue
		default:
			r.refuse(name, err)
			continue
		}
		delete(r.Refused, name) // it may have waited
	}
	return nil
}

// importClips stores the clips that the kept documents need.
func (c *Controller) importClips(ctx context.Context, from *load, r *Carried) error {
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
		f, err := from.openClip(needed[id])
		switch {
		case errors.Is(err, fs.ErrNotExist):
			r.Missing = append(r.Missing, id)
			continue
		case err != nil:
			r.Missing = append(r.Missing, id)
			r.refuse("clips/"+string(id)+".mp3", err)
			continue
		}
		err = c.Store.PutClip(ctx, needed[id], io.LimitReader(f, needed[id].Size))
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
// receipts are sent again that the county has, and it ignores them. It raises a mark
// only as far as the receipts on the carrier are those of this controller: those of a
// copy of its store have the same numbers.
func (c *Controller) importStamp(ctx context.Context, from *load, m Member) error {
	raw, err := from.read(stampFile(m.Controller))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	s, err := OpenStamp(raw, c.trusted(), m.Controller, "")
	if err != nil {
		return err
	}
	mine, err := c.Store.Marks(ctx)
	if err != nil {
		return err
	}
	for _, have := range mine {
		theirs, ok := s.mark(have.Epoch)
		if !ok {
			continue
		}
		brought, err := c.brought(ctx, from, m, have)
		if err != nil {
			return err
		}
		switch {
		case theirs.Seq < have.Seq && s.Refused == "gap":
			c.Log.Warn("county lost receipts, sending them again", "epoch", have.Epoch, "had", have.Seq, "has", theirs.Seq)
			err = c.Store.SetMark(ctx, theirs)
		case min(theirs.Seq, brought) > have.Seq:
			theirs.Seq = min(theirs.Seq, brought)
			fresh := slices.DeleteFunc(slices.Clone(s.Aside), func(r Refused) bool { return r.Seq <= have.Seq })
			if err = c.setAside(ctx, fresh, theirs); err == nil {
				err = c.Store.SetMark(ctx, theirs)
			}
		}
		if err == nil && s.Refused == "taken" && brought > max(theirs.Seq, have.Seq) {
			err = c.renumber(ctx, have.Epoch)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// brought returns the number of the last receipt after a mark that lies on the carrier as
// this controller has it; that of the mark if there is none.
func (c *Controller) brought(ctx context.Context, from *load, m Member, mark Mark) (int64, error) {
	last := mark.Seq
	var mine []asrun.Receipt // the next ones
	for _, name := range from.list(path.Join("receipts", string(m.Controller)), func(string) int { return 0 }) {
		if !strings.HasPrefix(path.Base(name), mark.Epoch+"-") {
			continue
		}
		raw, err := from.read(name)
		if err != nil {
			return last, nil // of that file alone, and the export replaces it
		}
		env, err := ParseEnvelope(raw)
		if err != nil {
			continue
		}
		b, err := OpenBatch(env, c.Key.Public())
		if err != nil || b.Epoch != mark.Epoch {
			continue
		}
		for _, r := range b.Receipts {
			if r.Row.Seq <= last {
				continue
			}
			if len(mine) == 0 {
				some, err := c.Store.Batch(ctx, Mark{Epoch: mark.Epoch, Seq: last}, MaxBatch)
				if err != nil {
					return last, err
				}
				if some.Epoch == mark.Epoch {
					mine = some.Receipts
				}
			}
			if len(mine) == 0 || !sameReceipt(mine[0].Row, r.Row) {
				return last, nil
			}
			last, mine = r.Row.Seq, mine[1:]
		}
	}
	return last, nil
}

// sameReceipt reports whether a row on a carrier is the one that the controller has under
// its number. A row that could not be sent has its number only.
func sameReceipt(mine, theirs asrun.Row) bool {
	return mine.Seq == theirs.Seq && (theirs.Airing == "" ||
		mine.Airing == theirs.Airing && mine.Output == theirs.Output && mine.Item == theirs.Item && mine.Part == theirs.Part &&
			mine.Boot == theirs.Boot && mine.MonoMS == theirs.MonoMS)
}

func stampFile(id playlist.ControllerID) string { return path.Join("stamps", string(id)+".json") }

// exportReceipts writes the receipts that the county lacks to the carrier and
// removes the files that an earlier export wrote. If something else lies where their
// folder belongs, that is refused.
func (c *Controller) exportReceipts(ctx context.Context, to *load, m Member, r *Carried) error {
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
		err = put(to.Folder, path.Join(dir, name), e.Bytes())
		if shared.Misplaced(err) {
			r.tell(dir, err)
			return nil
		}
		if err != nil {
			return err
		}
		kept[name] = true
		after = Mark{Epoch: b.Epoch, Seq: b.Receipts[len(b.Receipts)-1].Row.Seq}
		r.Receipts += len(b.Receipts)
	}
	old, err := to.Sub(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case shared.Misplaced(err):
		r.tell(dir, err)
		return nil
	case err != nil:
		return err
	}
	var errs []error
	err = old.Each(maxListed, func(e fs.DirEntry) error {
		if e.Type().IsRegular() && !kept[e.Name()] && path.Ext(e.Name()) == ".json" {
			errs = append(errs[:min(len(errs), 1)], old.Remove(e.Name()))
		}
		return nil
	})
	return errors.Join(append(errs, err, old.Close())...)
}

// Import stores the receipts that a carrier brought back and writes a stamp for each
// controller to it. It does not use Conn.
func (e *Edge) Import(ctx context.Context, from Carrier) (r Carried, err error) {
	l, err := from.open(&r)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	for _, dir := range l.villages() {
		if err := e.importReceipts(ctx, l, dir, &r); errors.Is(err, errSpent) {
			r.tell("receipts", err)
			break
		} else if err != nil {
			return r, err
		}
	}
	return r, nil
}

// villages returns the names of the folders of receipts, one of each controller.
func (l *load) villages() []string {
	sub, err := l.Sub("receipts")
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			l.report.tell("receipts", err)
		}
		return nil
	}
	defer func() { _ = sub.Close() }()
	var dirs []string
	err = sub.Each(maxCarried, func(e fs.DirEntry) error {
		if !playlist.IsToken(e.Name()) {
			return nil
		}
		if dir, err := sub.Sub(e.Name()); err != nil {
			l.report.refuse(path.Join("receipts", e.Name()), err)
		} else {
			dirs = append(dirs, e.Name())
			_ = dir.Close()
		}
		return nil
	})
	if err != nil {
		l.report.tell("receipts", err)
	}
	slices.Sort(dirs)
	return dirs
}

// importReceipts stores the receipts of one controller and writes its stamp.
func (e *Edge) importReceipts(ctx context.Context, from *load, dir string, r *Carried) error {
	id := playlist.ControllerID(dir)
	marks := map[string]Mark{}
	s := Stamp{Controller: id}
	var spent error
	for _, name := range from.list(path.Join("receipts", dir), func(string) int { return 0 }) {
		raw, err := from.read(name)
		if errors.Is(err, errSpent) {
			spent = err // what was stored is still stamped
			break
		}
		var m Mark
		var aside []Refused
		if err == nil {
			var n int
			m, aside, n, err = e.importBatch(ctx, id, raw)
			r.Receipts += n
		}
		switch {
		case errors.Is(err, ErrGap):
			if r.Gaps == nil {
				r.Gaps = map[string][]int64{}
			}
			key := dir + "/" + m.Epoch
			r.Gaps[key] = append(r.Gaps[key], m.Seq+1)
			s.Refused = cmp.Or(s.Refused, "gap")
		case errors.Is(err, ErrTaken):
			r.refuse(name, fault{ErrTaken, say.M("link.taken")})
			s.Refused, m.Seq = "taken", marks[m.Epoch].Seq
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			r.refuse(name, err)
			continue
		}
		marks[m.Epoch] = m
		s.Aside = append(s.Aside, aside...)
	}
	for _, epoch := range slices.Sorted(maps.Keys(marks)) {
		s.Marks = append(s.Marks, marks[epoch])
	}
	if len(s.Marks) == 0 {
		return spent
	}
	text, err := e.stamp(s)
	if err == nil {
		err = put(from.Folder, stampFile(id), text)
	}
	if shared.Misplaced(err) {
		r.refuse(stampFile(id), err)
		err = nil
	}
	return cmp.Or(err, spent)
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
	if m, err = e.commit(ctx, b); err != nil {
		return Mark{Epoch: b.Epoch, Seq: m.Seq}, nil, 0, err
	}
	aside = e.logRefused(b)
	if len(before) == 1 {
		n = int(max(0, m.Seq-max(before[0].Seq, b.Receipts[0].Row.Seq-1)))
	}
	return m, aside, n, nil
}
