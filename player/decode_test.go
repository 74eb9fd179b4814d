package player_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"dalaba/player"
)

// drain plays a clip to its end and counts.
func drain(d *player.Decoder) (int64, error) {
	var total int64
	buf := make([]int16, 4096)
	for {
		n, err := d.Read(buf)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
}

// unseekable fails the test when somebody seeks.
type unseekable struct {
	*bytes.Reader
	t *testing.T
}

func (u unseekable) Seek(int64, int) (int64, error) {
	u.t.Error("the decoder seeks")
	return 0, errors.ErrUnsupported
}

func TestDecodingNeverSeeks(t *testing.T) {
	d, err := player.OpenClip(unseekable{bytes.NewReader(clip(t)), t})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := drain(d); err != io.EOF || n == 0 {
		t.Errorf("%d frames, %v", n, err)
	}
	if n, err := d.Read(make([]int16, 10)); n != 0 || err != io.EOF {
		t.Errorf("past the end: %d, %v", n, err)
	}
}

func TestWhatDoesNotDecodeIsAnError(t *testing.T) {
	good := clip(t)
	for _, c := range []struct {
		name string
		file []byte
		want error
	}{
		{"nothing", nil, player.ErrDecode},
		{"text", []byte("not a clip at all"), player.ErrUnfit},
		{"a tag that claims 256 MiB", []byte("ID3\x04\x00\x00\x7f\x7f\x7f\x7f"), player.ErrUnfit},
		{"a first frame cut short", good[:100], player.ErrDecode},
	} {
		if d, err := player.OpenClip(bytes.NewReader(c.file)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v; want %v", c.name, d, err, c.want)
		}
	}

	// More values than a granule holds, in the middle: it breaks off there.
	d, err := player.OpenClip(bytes.NewReader(poke(good, 30, 18+12, 9, 400)))
	if err != nil {
		t.Fatal(err)
	}
	n, err := drain(d)
	if n != 30*1152 || !errors.Is(err, player.ErrDecode) {
		t.Errorf("%d frames, %v; want 30 MPEG frames and ErrDecode", n, err)
	}
	if n, again := d.Read(make([]int16, 10)); n != 0 || !errors.Is(again, player.ErrDecode) {
		t.Errorf("and then %d, %v", n, again)
	}
}

// FuzzOpenClip feeds the decoder what the door would have kept out.
func FuzzOpenClip(f *testing.F) {
	f.Fuzz(func(t *testing.T, file []byte) {
		if len(file) > 64<<10 {
			return // nothing new, only slow
		}
		d, err := player.OpenClip(bytes.NewReader(file))
		if err != nil {
			return
		}
		n, err := drain(d)
		if err != io.EOF && !errors.Is(err, player.ErrDecode) {
			t.Fatal(err)
		}
		// A frame takes at least 24 bytes of file.
		if max := int64(len(file)/24+1) * 1152; n > max {
			t.Fatalf("%d frames out of %d bytes", n, len(file))
		}
	})
}
