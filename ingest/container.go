package ingest

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
)

// containerPart returns how much of the sound that the header of a file promises
// is there, 1 for all of it: ffmpeg would accept half of such a file as whole.
func containerPart(src *os.File, container string) float64 {
	layout, ok := chunked[container]
	info, err := src.Stat()
	if !ok || err != nil {
		return 1
	}
	head := make([]byte, layout.head)
	var long int64 // of the data of an RF64 file
	at := layout.first
	for range maxChunks {
		if _, err := src.ReadAt(head, at); err != nil {
			return 1
		}
		name, size := layout.read(head)
		at += int64(layout.head)
		switch name {
		case "ds64":
			var sizes [16]byte
			if _, err := src.ReadAt(sizes[:], at); err == nil {
				long = int64(binary.LittleEndian.Uint64(sizes[8:]))
			}
		case layout.sound:
			if size == unknown && long > 0 {
				size = long
			}
			if size <= 0 || size >= unknown && long == 0 {
				return 1 // written by a program that did not know the length
			}
			return min(1, float64(info.Size()-at)/float64(size))
		}
		if size < 0 {
			return 1
		}
		at += (size + layout.even - 1) / layout.even * layout.even
	}
	return 1
}

// maxChunks is how many chunks are looked at before the one with the sound.
const maxChunks = 10_000

// unknown is the least of the lengths that programs write if they do not know the
// length yet.
const unknown = 0x7fff0000

// chunks is how a container is divided.
type chunks struct {
	first int64 // where the first chunk is
	head  int   // size of a chunk's header in bytes
	even  int64 // chunks begin at multiples of it
	sound string
	read  func(head []byte) (name string, size int64)
}

// chunked are containers, as ffprobe names them, whose header states in bytes
// how much sound there is, and of which ffprobe only tells how much it found.
var chunked = map[string]chunks{
	"wav": {first: 12, head: 8, even: 2, sound: "data", read: riff},
	"avi": {first: 0, head: 8, even: 2, sound: "RIFF", read: riff},
	"w64": {first: 40, head: 24, even: 8, sound: "data", read: func(b []byte) (string, int64) {
		return string(b[:4]), int64(binary.LittleEndian.Uint64(b[16:])) - 24
	}},
	"caf": {first: 8, head: 12, even: 1, sound: "data", read: func(b []byte) (string, int64) {
		return string(b[:4]), int64(binary.BigEndian.Uint64(b[4:]))
	}},
}

func riff(b []byte) (string, int64) {
	return string(b[:4]), min(int64(binary.LittleEndian.Uint32(b[4:])), unknown)
}

// asfLength returns the length in seconds that the header of a Windows Media file
// states if the file has fewer bytes than the header says, else 0: ffprobe guesses
// the length then. The File Properties Object (ASF specification, 3.2) has the
// bytes at byte 40, the play time at byte 64 in units of 100 ns, of which the
// preroll at byte 80, in ms, is no sound, and at byte 88 whether all this is
// unknown.
func asfLength(src *os.File, container string) float64 {
	head := make([]byte, 1<<13)
	n, err := src.ReadAt(head, 0)
	if container != "asf" || err != nil && err != io.EOF {
		return 0
	}
	_, object, found := bytes.Cut(head[:n], []byte("\xa1\xdc\xab\x8c\x47\xa9\xcf\x11\x8e\xe4\x00\xc0\x0c\x20\x53\x65"))
	info, err := src.Stat()
	if !found || err != nil || len(object) < 92-16 || object[88-16]&1 != 0 || binary.LittleEndian.Uint64(object[40-16:]) <= uint64(info.Size()) {
		return 0
	}
	played := float64(binary.LittleEndian.Uint64(object[64-16:])) / 1e7
	return max(0, played-float64(binary.LittleEndian.Uint64(object[80-16:]))/1e3)
}

// ogg is what the pages of an Ogg file (RFC 3533) tell.
type ogg struct {
	joined int  // recordings that follow the first
	cut    bool // it ends inside a page, or with something else than pages before the last page of a stream
}

// oggPages reads the headers of all pages of an Ogg file.
func oggPages(src *os.File) (o ogg, err error) {
	const header = 27
	info, err := src.Stat()
	if err != nil {
		return o, err
	}
	w := window{src: src, size: info.Size()}
	begins, last := true, false // the page before was the first of a stream; the last one
	for at := int64(0); at < w.size && w.err == nil; {
		b := w.read(at, header+255)
		if !bytes.HasPrefix(b, []byte("OggS\x00")) {
			i := bytes.Index(w.read(at+1, 1<<12), []byte("OggS\x00"))
			if i >= 0 {
				at += 1 + int64(i)
			} else if at += 1<<12 - 4; at >= w.size {
				o.cut = !last
			}
			continue
		}
		if len(b) < header || len(b) < header+int(b[26]) {
			o.cut = true
			break
		}
		at += header + int64(b[26])
		for _, n := range b[header : header+int(b[26])] {
			at += int64(n)
		}
		if first := b[5]&2 != 0; first && !begins {
			o.joined++
			begins = true
		} else {
			begins = first
		}
		last = b[5]&4 != 0
		o.cut = at > w.size
	}
	return o, w.err
}
