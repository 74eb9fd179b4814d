package ingest

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"slices"
)

// framings are the containers, as ffprobe names them, that are bare streams of
// frames, and how the header of a frame is read.
var framings = map[string]func([]byte) (frame, bool){"mp3": mpegHeader, "aac": adtsHeader}

// frame is what the header of a frame says.
type frame struct {
	size    int     // in bytes, with the header
	seconds float64 // of sound
	kind    uint32  // the same for all frames of a recording
	info    int     // offset of the Xing or Info tag, if it has one; 0: none is possible
}

// frameHead is how many bytes of a frame are read to understand it.
const frameHead = 64

// mpegHeader reads the header of MPEG-1, -2 and -2.5 audio, layers I to III
// (ISO/IEC 11172-3, 2.4.1.3 and 13818-3). The size of a frame of free format is
// not in its header: it is none to us.
func mpegHeader(b []byte) (f frame, ok bool) {
	if len(b) < 4 || b[0] != 0xff || b[1]&0xe0 != 0xe0 {
		return f, false
	}
	version, layer, rate, bits := b[1]>>3&3, 4-int(b[1]>>1&3), b[2]>>2&3, b[2]>>4 // version 3 is MPEG-1, 2 is MPEG-2, 0 is MPEG-2.5
	if version == 1 || layer == 4 || rate == 3 || bits == 0 || bits == 15 {
		return f, false
	}
	hz := []int{44100, 48000, 32000}[rate] >> map[byte]int{3: 0, 2: 1, 0: 2}[version]
	table := layer - 1
	if version != 3 {
		table = 3 + min(layer-1, 1)
	}
	bitrate := mpegRates[table][bits] * 1000
	padding := int(b[2] >> 1 & 1)
	samples := 1152
	switch {
	case layer == 1:
		samples, f.size = 384, (12*bitrate/hz+padding)*4
	case layer == 3 && version != 3:
		samples, f.size = 576, 72*bitrate/hz+padding
	default:
		f.size = 144*bitrate/hz + padding
	}
	if layer == 3 {
		mono := b[3]>>6 == 3
		switch {
		case version == 3 && !mono:
			f.info = 4 + 32
		case version == 3 || !mono:
			f.info = 4 + 17
		default:
			f.info = 4 + 9
		}
	}
	f.seconds = float64(samples) / float64(hz)
	f.kind = uint32(b[1]&0xfe)<<8 | uint32(rate)
	return f, true
}

// mpegRates are bit rates in kbit/s by the header's four bits: MPEG-1 layers I,
// II and III, then MPEG-2 layer I, and II and III.
var mpegRates = [5][15]int{
	{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
	{0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
	{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
	{0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
	{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
}

// adtsHeader reads the header of an ADTS frame of AAC (ISO/IEC 13818-7, 6.2).
func adtsHeader(b []byte) (f frame, ok bool) {
	if len(b) < 7 || b[0] != 0xff || b[1]&0xf6 != 0xf0 {
		return f, false
	}
	rates := []int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}
	rate := int(b[2] >> 2 & 15)
	f.size = int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5
	if rate >= len(rates) || f.size < 7 {
		return f, false
	}
	f.seconds = 1024 * float64(1+b[6]&3) / float64(rates[rate])
	f.kind = uint32(b[1]&0xfe)<<8 | uint32(b[2]&0xfc)
	return f, true
}

// promise is what a Xing, Info or VBRI header says of the recording that it
// begins. It is the first frame, without sound.
type promise struct {
	frames, bytes int64 // 0: not stated
}

func (f frame) promise(b []byte) (p promise, ok bool) {
	at := func(i int) int64 {
		if i+4 > len(b) {
			return 0
		}
		return int64(binary.BigEndian.Uint32(b[i:]))
	}
	switch {
	case f.info == 0:
		return p, false
	case len(b) >= 36+18 && string(b[36:40]) == "VBRI":
		return promise{frames: at(36 + 14), bytes: at(36 + 10)}, true
	}
	for _, i := range []int{f.info, f.info + 2} { // a checksum may follow the frame's header
		if len(b) < i+8 || string(b[i:i+4]) != "Xing" && string(b[i:i+4]) != "Info" {
			continue
		}
		flags, next := at(i+4), i+8
		if flags&1 != 0 {
			p.frames, next = at(next), next+4
		}
		if flags&2 != 0 {
			p.bytes = at(next)
		}
		return p, true
	}
	return p, false
}

// recording is a run of frames of one kind. A file may hold several, one after
// another.
type recording struct {
	promise
	frame
	start, end   int64 // in the file
	count, bytes int64 // of the frames found
	holes        []hole
}

// hole is a place in a file where frames should be.
type hole struct {
	after int64 // frames of the recording that come before it
	bytes int64
	last  bool // the file ends with it
	blank bool // it consists of zeros
}

// walked is the result of walking through the frames of a file.
type walked struct {
	parts []recording
	cut   bool // the file ends inside a frame
}

// walkFrames reads the headers of all frames of a file.
func walkFrames(src *os.File, parse func([]byte) (frame, bool)) (walked, error) {
	info, err := src.Stat()
	if err != nil {
		return walked{}, err
	}
	w := walker{window: window{src: src, size: info.Size()}, parse: parse, fresh: true}
	for at := int64(0); at < w.size && w.err == nil && !w.cut; {
		at = w.step(at)
	}
	return w.walked, w.err
}

type walker struct {
	window
	walked
	parse  func([]byte) (frame, bool)
	synced bool // the last frame ended here
	fresh  bool // a recording begins here
	tagged bool // a tag ended here
}

// step passes over what is at a position of the file and returns where it ends.
func (w *walker) step(at int64) int64 {
	head := slices.Clone(w.read(at, frameHead))
	if n := w.tag(at); n > 0 {
		w.synced, w.fresh, w.tagged = false, true, true
		return at + n
	}
	f, ok := w.parse(head)
	if ok && (w.synced || w.confirmed(at, f)) {
		if at+int64(f.size) > w.size {
			w.cut = true
			return w.size
		}
		w.add(at, f, head)
		w.synced, w.tagged = true, false
		return at + int64(f.size)
	}
	end, blank := w.next(at)
	// Before the first frame, what follows a tag is the tag's padding.
	if len(w.parts) == 0 && !w.tagged {
		w.parts = append(w.parts, recording{start: at})
		w.fresh = false
	}
	if len(w.parts) > 0 {
		p := &w.parts[len(w.parts)-1]
		p.holes = append(p.holes, hole{after: p.count, bytes: end - at, last: end == w.size, blank: blank})
		p.end = end
	}
	w.synced = false
	return end
}

// add counts a frame.
func (w *walker) add(at int64, f frame, head []byte) {
	said, first := f.promise(head)
	n := len(w.parts)
	if n > 0 && w.parts[n-1].count == 0 && !first && w.parts[n-1].frames == 0 && !w.fresh {
		w.parts[n-1].frame = f // it began with a hole
	} else if n == 0 || first || w.fresh || w.parts[n-1].kind != f.kind {
		w.parts = append(w.parts, recording{promise: said, frame: f, start: at})
	}
	w.fresh = false
	p := &w.parts[len(w.parts)-1]
	p.end = at + int64(f.size)
	if !first {
		p.count++
		p.bytes += int64(f.size)
	}
}

// confirmed reports whether a frame is followed by another one of its kind, by
// a tag or by the end of the file.
func (w *walker) confirmed(at int64, f frame) bool {
	next := at + int64(f.size)
	if next == w.size || next < w.size && w.tag(next) > 0 {
		return true
	}
	g, ok := w.parse(w.read(next, frameHead))
	return ok && g.kind == f.kind
}

// next returns where, after a position, the next frame or tag begins, or the end
// of the file, and whether there are only zeros before it.
func (w *walker) next(at int64) (end int64, blank bool) {
	blank = w.read(at, 1)[0] == 0
	for at++; at < w.size && w.err == nil; {
		b := w.read(at, 1<<12)
		skip := bytes.IndexFunc(b, func(r rune) bool { return r != 0 })
		if skip < 0 {
			at += int64(len(b))
			continue
		}
		at += int64(skip)
		if f, ok := w.parse(w.read(at, frameHead)); ok && w.confirmed(at, f) || w.tag(at) > 0 {
			return at, blank
		}
		blank = false
		at++
	}
	return w.size, blank
}

// tag returns the size of the ID3, APE or Lyrics tag at a position, or 0. A tag
// that the file is too short for ends with the file.
func (w *walker) tag(at int64) int64 {
	b := slices.Clone(w.read(at, 32))
	n := int64(0)
	switch {
	case len(b) >= 10 && string(b[:3]) == "ID3" && b[3] < 5 && (b[6]|b[7]|b[8]|b[9])&0x80 == 0:
		n = 10 + (int64(b[6])<<21 | int64(b[7])<<14 | int64(b[8])<<7 | int64(b[9]))
		if b[5]&0x10 != 0 {
			n += 10
		}
	case len(b) >= 32 && string(b[:8]) == "APETAGEX":
		n = int64(binary.LittleEndian.Uint32(b[12:]))
		if b[23]&0x20 != 0 { // this is its header, which the size leaves out
			n += 32
		} else {
			n = 32 // only its footer
		}
	case len(b) >= 4 && string(b[:4]) == "TAG+":
		n = 227
	case len(b) >= 3 && string(b[:3]) == "TAG" && w.size-at == 128, len(b) >= 3 && string(b[:3]) == "TAG" && w.after(at+128):
		n = 128
	case len(b) >= 11 && string(b[:11]) == "LYRICSBEGIN":
		tail := w.read(at, 1<<13)
		if i := bytes.Index(tail, []byte("LYRICS200")); i >= 0 {
			n = int64(i) + 9
		} else if i := bytes.Index(tail, []byte("LYRICSEND")); i >= 0 {
			n = int64(i) + 9
		}
	}
	return min(n, w.size-at)
}

// after reports whether a frame or an ID3v2 tag begins at a position: an ID3v1
// tag in the middle of a file is followed by one.
func (w *walker) after(at int64) bool {
	b := w.read(at, frameHead)
	_, ok := w.parse(b)
	return ok || len(b) > 3 && string(b[:3]) == "ID3"
}

// damage returns the sound that is missing in the file.
func (w walked) damage() (d Damage) {
	begin := 0.0
	for _, p := range w.parts {
		gaps, length := p.gaps(begin)
		d = append(d, gaps...)
		begin += length
	}
	return d
}

// gaps returns what is missing of a recording that begins at a time, and how
// long it was when it was whole. A hole is as long as the frames that would fill
// it. If the header states how many frames there were, that many are missing in
// all, in the holes and at the end.
func (p recording) gaps(begin float64) (d Damage, length float64) {
	if p.count == 0 {
		return nil, 0
	}
	mean := float64(p.bytes) / float64(p.count)
	lost, known := 0.0, p.frames > 0 // in frames
	if known {
		lost = float64(max(p.frames-p.count, 0))
	}
	var filled float64
	size := make([]float64, len(p.holes))
	for i, h := range p.holes {
		if known || !h.last || h.blank {
			size[i] = float64(h.bytes) / mean
			filled += size[i]
		}
	}
	// The estimate is off if the bit rate varies: it is scaled to what is known,
	// unless the file also ends before its header says.
	ends := filled == 0 || p.promise.bytes > p.end-p.start+int64(2*mean)
	if known && (filled > lost || !ends) {
		for i := range size {
			size[i] *= lost / max(filled, 1e-9)
		}
		filled = lost
	}
	at := begin
	for i, h := range p.holes {
		gap := Gap{At: at + float64(h.after)*p.seconds, Seconds: size[i] * p.seconds}
		if h.last && known {
			gap.Of = float64(p.frames) * p.seconds
		}
		if gap.Seconds >= minGap {
			d = append(d, gap)
		}
		at += gap.Seconds
	}
	at += float64(p.count) * p.seconds
	if rest := (lost - filled) * p.seconds; rest >= minGap {
		d = append(d, Gap{At: at, Seconds: rest, Of: float64(p.frames) * p.seconds})
		at += rest
	}
	return d, at - begin
}

// window reads a file in any order, mostly forwards.
type window struct {
	src  *os.File
	size int64
	from int64
	buf  []byte
	err  error
}

// read returns n bytes at a position, fewer at the end of the file. They are
// valid until the next call.
func (w *window) read(at int64, n int) []byte {
	if at >= w.size || w.err != nil {
		return nil
	}
	n = int(min(int64(n), w.size-at))
	if at < w.from || at+int64(n) > w.from+int64(len(w.buf)) {
		if cap(w.buf) == 0 {
			w.buf = make([]byte, 1<<16)
		}
		w.buf = w.buf[:cap(w.buf)]
		got, err := w.src.ReadAt(w.buf, at)
		if err != nil && err != io.EOF {
			w.err = err
		}
		w.from, w.buf = at, w.buf[:got]
	}
	i := int(at - w.from)
	return w.buf[i:min(i+n, len(w.buf))]
}
