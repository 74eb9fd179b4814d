package ingest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"dalaba/ingest"
	"dalaba/playlist/say"
)

func TestNamesAreNeverTakenForOptionsOrAddresses(t *testing.T) {
	dir := t.TempDir()
	said := read(t, word(t, t.TempDir()))
	t.Chdir(dir)
	for _, name := range []string{
		`two words "quoted" 'twice'.wav`, "new\nline.wav", "--help", "-f lavfi -i sine.wav", "concat:a|b.wav",
		"subfile,,start,0,end,0,,:a.wav", "pipe:0", "%d.wav", "$(touch pwned).wav",
		"\xb5\xda1\xc6\xda.wav", "fd:3.wav", strings.Repeat("长", 80) + ".wav",
	} {
		write(t, name, said)
		g := ingester(t)
		res, err := g.File(t.Context(), name, ingest.Meta{}, nil)
		if err != nil {
			t.Errorf("%q: %v", name, say.In(say.English, err))
			continue
		}
		if res.Clip.Title == "" || !utf8.ValidString(res.Clip.Title) || strings.Contains(res.Clip.Title, "\n") {
			t.Errorf("%q has the title %q", name, res.Clip.Title)
		}
		if err := os.Remove(res.Path); err != nil {
			t.Error(err)
		}
		empty(t, g)
	}
	if _, err := os.Stat("pwned"); err == nil {
		t.Error("a file name was run as a command")
	}
}

func TestAnythingButARegularFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.Symlink("/etc/passwd", at("link.mp3")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(at("fifo.mp3"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", at("socket.mp3"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for path, want := range map[string]string{
		at("link.mp3"): "ingest.link", at("fifo.mp3"): "ingest.special", at("socket.mp3"): "ingest.special", "/dev/zero": "ingest.special",
		"/dev/urandom": "ingest.special", dir: "ingest.folder", at("none.mp3"): "ingest.missing", "http://localhost/a.mp3": "ingest.missing",
		"concat:/etc/passwd|/etc/passwd": "ingest.missing",
	} {
		g := ingester(t)
		if _, err := g.File(t.Context(), path, ingest.Meta{}, nil); refused(t, err) != want {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
		empty(t, g)
	}
}

func TestFilesThatNameOtherFilesOrAddressesFetchNothing(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	callers := make(chan string, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			callers <- c.RemoteAddr().String()
			_ = c.Close()
		}
	}()
	url := "http://" + l.Addr().String() + "/a.mp3"
	secret := filepath.Join(t.TempDir(), "secret.wav")
	write(t, secret, read(t, speech(t, t.TempDir())))
	for name, text := range map[string]string{
		"hls":    "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n" + url + "\n#EXT-X-ENDLIST\n",
		"local":  "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://" + secret + "\n#EXT-X-ENDLIST\n",
		"concat": "ffconcat version 1.0\nfile '" + secret + "'\n",
		"sdp":    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
		"dash":   `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><BaseURL>` + url + `</BaseURL></Period></MPD>`,
		"asx":    `<asx version="3.0"><entry><ref href="` + url + `"/></entry></asx>`,
		"pls":    "[playlist]\nFile1=" + url + "\nNumberOfEntries=1\n",
	} {
		path := filepath.Join(t.TempDir(), name+".mp3")
		write(t, path, []byte(text))
		g := ingester(t)
		if _, err := g.File(t.Context(), path, ingest.Meta{}, nil); refused(t, err) == "" {
			t.Errorf("%s: %v", name, err)
		}
		empty(t, g)
	}
	// Connections are accepted in order: ours is the first if there was no
	// other.
	own, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	if first := <-callers; first != own.LocalAddr().String() {
		t.Errorf("something was fetched from the network, by %s", first)
	}
}

func TestDecompressionBombsStopAtTheLimits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// An hour in a few kilobytes, and a header that says two.
	flac := filepath.Join(dir, "bomb.flac")
	run(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono:d=3600", "-sample_fmt", "s16", flac)
	// The same from frames without a length in the header.
	mp3 := filepath.Join(dir, "bomb.mp3")
	ten := ffmpeg(t, speech(t, dir), "ten.mp3", "-b:a", "64k", "-write_xing", "0", "-id3v2_version", "0")
	write(t, mp3, []byte(strings.Repeat(string(read(t, ten)), 500)))
	long := filepath.Join(dir, "long.wav")
	head := read(t, ffmpeg(t, ten, "head.wav", "-bitexact", "-ac", "1", "-ar", "8000", "-c:a", "pcm_u8", "-t", "0.1"))[:44]
	const two = 2 * 3600 * 8000
	copy(head[40:], []byte{two & 255, two >> 8 & 255, two >> 16 & 255, two >> 24})
	copy(head[4:], []byte{(two + 36) & 255, (two + 36) >> 8 & 255, (two + 36) >> 16 & 255, (two + 36) >> 24})
	write(t, long, head)
	if err := os.Truncate(long, two+44); err != nil {
		t.Fatal(err)
	}
	for path, l := range map[string]ingest.Limits{
		flac: {Length: time.Minute},
		mp3:  {Length: time.Minute},
		long: {Length: time.Hour},
	} {
		g := ingester(t)
		g.Limits = l
		if _, err := g.File(t.Context(), path, ingest.Meta{}, nil); refused(t, err) != "ingest.long" {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
		empty(t, g)
	}

	g := ingester(t)
	g.Limits.Bytes = 1000
	if _, err := g.File(t.Context(), ten, ingest.Meta{}, nil); refused(t, err) != "ingest.big" {
		t.Error(err)
	}
	g.Limits = ingest.Limits{Wall: time.Millisecond}
	if _, err := g.File(t.Context(), ten, ingest.Meta{}, nil); refused(t, err) != "ingest.slow" {
		t.Error(err)
	}
	// A child with too little memory to run fails, and no clip is made.
	g.Limits = ingest.Limits{Memory: 16 << 20}
	if res, err := g.File(t.Context(), ten, ingest.Meta{}, nil); err == nil {
		t.Errorf("ran in 16 MiB: %+v", res)
	}
	empty(t, g)
}

func TestACancelledIngestLeavesNoFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	wav := speech(t, dir)
	long := ffmpeg(t, wav, "long.wav", "-af", "aloop=loop=3:size=72000")
	for _, stop := range []float64{0, 5, 31, 50, 70, 95} {
		g := ingester(t)
		ctx, cancel := context.WithCancel(t.Context())
		last := -1.0
		res, err := g.File(ctx, long, ingest.Meta{}, func(percent float64) {
			if percent < last || percent > 100 {
				t.Errorf("progress goes from %f to %f", last, percent)
			}
			last = percent
			if percent >= stop {
				cancel()
			}
		})
		cancel()
		if !errors.Is(err, context.Canceled) || res.Path != "" {
			t.Errorf("cancelled at %.0f %%: %+v, %v", stop, res, err)
		}
		empty(t, g)
	}
}

func TestAClipThatADecoderDecodesWronglyIsRefused(t *testing.T) {
	t.Parallel()
	wav := speech(t, t.TempDir())
	for name, c := range map[string]struct {
		spoil func(frames []int16)
		stop  int
		err   error
		want  string
	}{
		"noise": {func(f []int16) { f[len(f)/2] += 12000 }, 0, nil, "ingest.snr"},
		"upside down": {func(f []int16) {
			for i := range f {
				f[i] = -f[i]
			}
		}, 0, nil, "ingest.snr"},
		"a little too quiet": {func(f []int16) {
			for i := range f {
				f[i] -= f[i] / 100
			}
		}, 0, nil, "ingest.snr"},
		"ending too soon": {func([]int16) {}, 50_000, nil, "ingest.peer_length"},
		"breaking off":    {func([]int16) {}, 50_000, errors.New("huffman"), "ingest.decode"},
	} {
		g := ingester(t)
		right := g.Decode
		g.Decode = func(r io.Reader) (ingest.Samples, error) {
			s, err := right(r)
			return &spoilt{s, c.spoil, c.stop, c.err}, err
		}
		if _, err := g.File(t.Context(), wav, ingest.Meta{}, nil); refused(t, err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		empty(t, g)
	}
}

// spoilt is a decoder with a fault.
type spoilt struct {
	ingest.Samples
	spoil func([]int16)
	stop  int // frames until it ends; 0: never
	err   error
}

func (s *spoilt) Read(frames []int16) (int, error) {
	n, err := s.Samples.Read(frames)
	if n > 0 {
		s.spoil(frames[:n])
	}
	if s.stop > 0 {
		if s.stop -= n; s.stop <= 0 {
			if s.err != nil {
				return 0, s.err
			}
			return 0, io.EOF
		}
	}
	return n, err
}
