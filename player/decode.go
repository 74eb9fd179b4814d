package player

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/hajimehoshi/go-mp3"

	"dalaba/playlist"
)

// ErrDecode marks a clip that breaks off: its bytes are no longer sound.
var ErrDecode = errors.New("clip does not decode")

// Decoder turns a clip into mono frames at [playlist.Rate]. One goroutine
// uses it.
type Decoder struct {
	mp3  *mp3.Decoder
	buf  []byte // of stereo S16, as go-mp3 gives it
	left []byte // of buf, not yet handed on
	err  error
}

// OpenClip begins to decode a clip that went through [Scan]. It never seeks
// in r. A file whose first frame is not of the air profile is ErrUnfit, one
// that cannot be decoded ErrDecode; a panic of the decoder is an ErrDecode
// like any other.
func OpenClip(r io.Reader) (d *Decoder, err error) {
	// If the reader could seek, go-mp3 would read the whole file first.
	in := bufio.NewReaderSize(r, 16<<10)
	if err := fitStart(in); err != nil {
		return nil, err
	}
	defer func() {
		if p := recover(); p != nil {
			d, err = nil, fmt.Errorf("%w: %v", ErrDecode, p)
		}
	}()
	m, err := mp3.NewDecoder(in)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDecode, err)
	}
	if m.SampleRate() != playlist.Rate {
		return nil, fmt.Errorf("%w: %d Hz", ErrDecode, m.SampleRate())
	}
	return &Decoder{mp3: m, buf: make([]byte, 4*samplesPerFrame)}, nil
}

// Read fills frames with samples and returns how many. At the end of the clip
// the error is io.EOF; on ErrDecode the clip has broken off. Either stays. A clip
// that went through Scan yields exactly its Info's Frames.
func (d *Decoder) Read(frames []int16) (int, error) {
	n := 0
	for n < len(frames) {
		if len(d.left) < 4 {
			if d.err != nil {
				break
			}
			d.fill()
			continue
		}
		m := min(len(frames)-n, len(d.left)/4)
		for i := range m {
			frames[n+i] = int16(binary.LittleEndian.Uint16(d.left[4*i:]))
		}
		d.left = d.left[4*m:]
		n += m
	}
	if n == 0 && len(frames) > 0 {
		return 0, d.err
	}
	return n, nil
}

func (d *Decoder) fill() {
	defer func() {
		if p := recover(); p != nil {
			d.left, d.err = nil, fmt.Errorf("%w: %v", ErrDecode, p)
		}
	}()
	n, err := io.ReadFull(d.mp3, d.buf)
	d.left = d.buf[:n&^3]
	switch {
	case err == nil:
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		d.err = io.EOF
	default:
		d.err = fmt.Errorf("%w: %w", ErrDecode, err)
	}
}
