package player

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"dalaba/playlist"
	"dalaba/playlist/say"
)

// ErrUnfit marks a file that does not keep the air profile, or that the
// player's decoder would not play as it was meant. Such errors hold a
// [say.Message] with what is wrong and what to do.
var ErrUnfit = errors.New("unfit to air")

// The bit rates of the air profile, in kbit/s.
const (
	MinKbps = 32
	MaxKbps = 160
)

// Info is what [Scan] found in a clip that is fit to air.
type Info struct {
	ID     playlist.ClipID // SHA-256 of the file's bytes
	Size   int64           // bytes
	Frames int64           // what a [Decoder] yields, at playlist.Rate
	Kbps   int             // constant bit rate
}

// unfit is an ErrUnfit that reads as its message.
type unfit struct{ say.Message }

func (u unfit) Unwrap() error        { return u.Message }
func (u unfit) Is(target error) bool { return target == ErrUnfit }

// Convertible reports whether an import makes a clip of such a file: it is a sound,
// and only not as it must be.
func (u unfit) Convertible() bool {
	switch u.Key {
	case "clip.empty", "clip.cut", "clip.not_mp3":
		return false
	}
	return true
}

// otherSound is a file that is no MP3 and begins as a sound of another kind does.
type otherSound struct{ unfit }

// Convertible is true: see [unfit].
func (otherSound) Convertible() bool { return true }

// otherSounds are what sounds of other kinds begin with; a ? is any byte.
var otherSounds = []string{"RIFF", "????ftyp", "OggS", "fLaC", "FORM", "#!AM", "MAC ", "\x30\x26\xb2\x75", "\x1a\x45\xdf\xa3"}

func isOtherSound(in *bufio.Reader) bool {
	head, _ := in.Peek(8)
	return slices.ContainsFunc(otherSounds, func(begins string) bool {
		if len(head) < len(begins) {
			return false
		}
		for i := range len(begins) {
			if begins[i] != '?' && begins[i] != head[i] {
				return false
			}
		}
		return true
	})
}

// Scan reads a whole clip and accepts it only if it keeps the air profile from
// its first byte to its last: MPEG-1 layer III, 48 kHz, mono,
// one bit rate of 32 to 160 kbit/s, whole frames and nothing but frames, no
// tags, and side information that go-mp3 decodes as the standard means it.
// Everything else is ErrUnfit; an error of r is returned as it is. It looks
// at headers only and holds one frame in memory.
func Scan(r io.Reader) (Info, error) {
	hash := sha256.New()
	in := bufio.NewReaderSize(io.TeeReader(r, hash), 64<<10)
	var s scan
	for {
		end, err := s.frame(in)
		if err != nil {
			return Info{}, err
		}
		if end {
			break
		}
	}
	return Info{
		ID:     playlist.ClipID(hex.EncodeToString(hash.Sum(nil))),
		Size:   s.at,
		Frames: s.frames * samplesPerFrame,
		Kbps:   s.first.kbps,
	}, nil
}

const (
	samplesPerFrame = 1152
	headerSize      = 4
	crcSize         = 2
	sideInfoSize    = 17 // mono
)

// scan is how far a Scan has come.
type scan struct {
	at     int64 // bytes of whole frames so far
	frames int64
	first  header
	held   int // bytes of main data that the decoder holds for the next frame
}

// frame checks the next frame; end is true if the file ends properly here.
func (s *scan) frame(in *bufio.Reader) (end bool, err error) {
	h, end, err := s.header(in)
	if end || err != nil {
		return end, err
	}
	frame := make([]byte, h.size)
	if _, err := io.ReadFull(in, frame); err != nil {
		if err == io.ErrUnexpectedEOF {
			return false, unfit{say.M("clip.cut")}
		}
		return false, err
	}
	body := frame[headerSize:]
	if h.crc {
		want := uint16(body[0])<<8 | uint16(body[1])
		body = body[crcSize:]
		if crc16(frame[2:4], body[:sideInfoSize]) != want {
			return false, unfit{say.M("clip.damaged", s.at)}
		}
	}
	if s.frames == 0 && encoderTag(body) {
		return false, unfit{say.M("clip.tagged", "Xing/LAME/VBRI")}
	}
	side, main := body[:sideInfoSize], len(body)-sideInfoSize
	begin, problem := checkSideInfo(side, main, s.held, s.at)
	if problem.Key != "" {
		if s.frames == 0 && problem.Key == "clip.reservoir" {
			problem = say.M("clip.torn")
		}
		return false, unfit{problem}
	}
	s.held = begin + main
	s.frames++
	s.at += int64(h.size)
	return false, nil
}

// header reads the next frame's header, and leaves it in the reader; end is
// true if the file ends properly here.
func (s *scan) header(in *bufio.Reader) (h header, end bool, err error) {
	head, err := in.Peek(headerSize)
	switch {
	case err == io.EOF && len(head) == 0 && s.frames > 0:
		return h, true, nil
	case err == io.EOF && len(head) == 0:
		return h, false, unfit{say.M("clip.empty")}
	case err != nil && err != io.EOF:
		return h, false, err
	}
	if name := tagName(in); name != "" {
		return h, false, unfit{say.M("clip.tagged", name)}
	}
	if err == io.EOF {
		return h, false, unfit{say.M("clip.garbage", s.at)}
	}
	h, problem := parseHeader(head)
	if problem.Key == "clip.not_mp3" && s.frames > 0 {
		return h, false, unfit{say.M("clip.garbage", s.at)}
	}
	switch {
	case problem.Key == "clip.not_mp3" && isOtherSound(in):
		return h, false, otherSound{unfit{problem}}
	case problem.Key != "":
		return h, false, unfit{problem}
	}
	if s.frames == 0 {
		s.first = h
	}
	if h.kbps != s.first.kbps {
		return h, false, unfit{say.M("clip.vbr", s.first.kbps, h.kbps)}
	}
	return h, false, nil
}

// tagName is the tag that begins here; "" if none does.
func tagName(in *bufio.Reader) string {
	head, _ := in.Peek(8)
	for _, t := range []struct{ magic, name string }{
		{"ID3", "ID3v2"}, {"TAG", "ID3v1"}, {"APETAGEX", "APE"}, {"LYRICSBE", "Lyrics3"}, {"3DI", "ID3v2"},
	} {
		if bytes.HasPrefix(head, []byte(t.magic)) {
			return t.name
		}
	}
	return ""
}

// encoderTag reports whether the first frame's main data carries no sound but
// an encoder's notes. Players take them for a frame of silence.
func encoderTag(body []byte) bool {
	at := body[sideInfoSize:]
	vbri := body[min(32, len(body)):]
	return bytes.HasPrefix(at, []byte("Xing")) || bytes.HasPrefix(at, []byte("Info")) ||
		bytes.HasPrefix(vbri, []byte("VBRI"))
}

// header is an MPEG audio frame header of the air profile.
type header struct {
	kbps int
	size int // of the whole frame, in bytes
	crc  bool
}

// parseHeader reads a frame header, or says why the air profile has none such.
func parseHeader(b []byte) (header, say.Message) {
	if b[0] != 0xff || b[1]&0xe0 != 0xe0 {
		return header{}, say.M("clip.not_mp3")
	}
	version, layer := b[1]>>3&3, b[1]>>1&3
	rate, kbps, padding := b[2]>>2&3, b[2]>>4, int(b[2]>>1&1)
	mode, emphasis := b[3]>>6, b[3]&3
	switch {
	case version == 1 || layer == 0 || rate == 3 || kbps == 15 || emphasis == 2:
		return header{}, say.M("clip.not_mp3")
	case layer != 1:
		return header{}, say.M("clip.layer", 4-int(layer))
	case version != 3 || rate != 1:
		hz := []int{44100, 48000, 32000}[rate]
		switch version {
		case 2:
			hz /= 2
		case 0:
			hz /= 4
		}
		return header{}, say.M("clip.rate", hz)
	case mode != 3:
		return header{}, say.M("clip.stereo")
	case emphasis != 0:
		return header{}, say.M("clip.emphasis")
	case kbps == 0:
		return header{}, say.M("clip.free")
	}
	h := header{
		kbps: []int{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}[kbps],
		crc:  b[1]&1 == 0,
	}
	if h.kbps < MinKbps || h.kbps > MaxKbps {
		return header{}, say.M("clip.bitrate", h.kbps, MinKbps, MaxKbps)
	}
	h.size = 144*h.kbps*1000/playlist.Rate + padding
	return h, say.Message{}
}

// checkSideInfo reads a mono MPEG-1 side information and says what in it
// go-mp3 would stumble over. main is the frame's own main data in bytes, held
// what the decoder kept of the frames before. begin is how much of that this
// frame uses.
func checkSideInfo(side []byte, main, held int, at int64) (begin int, problem say.Message) {
	damaged := say.M("clip.damaged", at)
	b := bitReader{buf: side}
	begin = b.take(9)
	if begin > held {
		return begin, say.M("clip.reservoir", at)
	}
	b.take(5) // private
	scfsi := b.take(4)
	total, short := 0, false
	for granule := range 2 {
		length, bigValues := b.take(12), b.take(9)
		b.take(8) // global gain
		sizes := scalefactorBits[b.take(4)]
		blockType, tables := 0, 0
		if b.take(1) == 1 {
			blockType = b.take(2)
			mixed := b.take(1)
			if blockType == 0 || mixed == 1 {
				return begin, damaged // forbidden, and mixed blocks, which no encoder makes
			}
			tables = 2
		} else {
			tables = 3
		}
		for range tables {
			if t := b.take(5); t == 4 || t == 14 {
				return begin, damaged // tables the standard leaves empty
			}
		}
		if tables == 2 {
			b.take(9) // subblock gain
		} else if b.take(4)+b.take(3) > 20 {
			return begin, damaged // regions beyond the last band
		}
		b.take(3) // preflag, scale, count1 table

		part2 := 11*sizes[0] + 10*sizes[1]
		if blockType == 2 {
			part2, short = 18*sizes[0]+18*sizes[1], true
		} else if granule == 1 && scfsi != 0 {
			part2 = 0 // shared, in part, with the first granule
		}
		// With no bits at all go-mp3 reads scale factors all the same, and
		// loses its place.
		if bigValues > 288 || length < part2 || length == 0 && sizes != [2]int{} {
			return begin, damaged
		}
		total += length
	}
	if total > 8*(begin+main) || scfsi != 0 && short {
		return begin, damaged
	}
	return begin, say.Message{}
}

// scalefactorBits are slen1 and slen2 by scalefac_compress (ISO/IEC 11172-3,
// 2.4.2.7).
var scalefactorBits = [16][2]int{
	{0, 0}, {0, 1}, {0, 2}, {0, 3}, {3, 0}, {1, 1}, {1, 2}, {1, 3},
	{2, 1}, {2, 2}, {2, 3}, {3, 1}, {3, 2}, {3, 3}, {4, 2}, {4, 3},
}

// bitReader takes bits from the front of a buffer that is long enough.
type bitReader struct {
	buf []byte
	pos int
}

func (b *bitReader) take(n int) int {
	v := 0
	for range n {
		v = v<<1 | int(b.buf[b.pos>>3]>>(7-b.pos&7)&1)
		b.pos++
	}
	return v
}

// crc16 is the check of ISO/IEC 11172-3, 2.4.3.1.
func crc16(parts ...[]byte) uint16 {
	crc := uint16(0xffff)
	for _, p := range parts {
		for _, c := range p {
			crc ^= uint16(c) << 8
			for range 8 {
				if crc&0x8000 != 0 {
					crc = crc<<1 ^ 0x8005
				} else {
					crc <<= 1
				}
			}
		}
	}
	return crc
}

// fitStart checks the first frame's header only, before a decoder that
// believes what it reads gets to see the file.
func fitStart(in *bufio.Reader) error {
	head, err := in.Peek(headerSize)
	if err != nil {
		if err == io.EOF {
			return fmt.Errorf("%w: %w", ErrDecode, io.ErrUnexpectedEOF)
		}
		return err
	}
	if _, problem := parseHeader(head); problem.Key != "" {
		return unfit{problem}
	}
	return nil
}
