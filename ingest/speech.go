package ingest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// Speech is how text is turned into sound. Zero values mean the defaults.
type Speech struct {
	// Command is a program that reads text on its standard input and writes
	// sound that ffmpeg knows to its standard output. "{pace}" stands for Pace.
	// Default: espeak-ng -v cmn-latn-pinyin -s {pace} --stdin --stdout; the
	// voice cmn of espeak-ng 1.51 spells many a character in English ("da
	// three").
	Command []string

	Pace  int           // words a minute, for programs with "{pace}"; default 160
	Pause time.Duration // between sentences; default 350 ms
	Break time.Duration // between paragraphs; default 800 ms

	// Words is the pronunciation list (词典): a word as written and as it is to
	// be spoken, such as 六安 as 陆安. The longest match is used.
	Words map[string]string

	// Most is the longest text, in characters; default 50,000.
	Most int
}

func (s Speech) filled() Speech {
	if len(s.Command) == 0 {
		s.Command = []string{"espeak-ng", "-v", "cmn-latn-pinyin", "-s", "{pace}", "--stdin", "--stdout"}
	}
	if s.Pace == 0 {
		s.Pace = 160
	}
	if s.Pause == 0 {
		s.Pause = 350 * time.Millisecond
	}
	if s.Break == 0 {
		s.Break = 800 * time.Millisecond
	}
	if s.Most == 0 {
		s.Most = 50_000
	}
	return s
}

// Sentences returns the text as it will be given to the program, one item a
// sentence, "" at the end of a paragraph. Chinese is written the way it is
// read.
func (s Speech) Sentences(text, language string) []string {
	s = s.filled()
	pairs := make([]string, 0, 2*len(s.Words))
	for _, w := range slices.SortedFunc(maps.Keys(s.Words), func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	}) {
		pairs = append(pairs, w, s.Words[w])
	}
	text = strings.NewReplacer(pairs...).Replace(strings.ToValidUTF8(text, ""))
	var out []string
	for para := range strings.SplitSeq(strings.ReplaceAll(text, "\r", "\n"), "\n") {
		before := len(out)
		for _, sentence := range split(para) {
			if chinese(language) {
				sentence = Spoken(sentence)
			}
			if sentence = strings.TrimSpace(sentence); emergency.HasWords(sentence) {
				out = append(out, sentence)
			}
		}
		if len(out) > before {
			out = append(out, "")
		}
	}
	return out
}

func chinese(language string) bool {
	return language == "" || say.Choose(language) == say.Chinese
}

// longest is how many characters a program is given at once: a longer sentence
// is split at its commas or, if it has none, anywhere.
const longest = 200

// split cuts a paragraph after its sentences.
func split(para string) []string {
	var out []string
	begin, comma, n := 0, 0, 0
	cut := func(at int) {
		out = append(out, para[begin:at])
		begin, comma, n = at, 0, 0
	}
	for at, r := range para {
		if at < begin {
			continue
		}
		end := at + utf8.RuneLen(r)
		n++
		next, _ := utf8.DecodeRuneInString(para[end:])
		switch {
		case strings.ContainsRune("。！？；!?;…", r) && !strings.ContainsRune("。！？；!?;…”』」）)\"'", next),
			strings.ContainsRune("”』」", r) && at > 0 && endsSentence(para[begin:at]),
			r == '.' && (unicode.IsSpace(next) || end == len(para)):
			cut(end)
		case strings.ContainsRune("，、：,:", r) && !unicode.IsDigit(next):
			comma = end
		}
		if n >= longest && comma > begin {
			n = utf8.RuneCountInString(para[comma:end])
			out = append(out, para[begin:comma])
			begin, comma = comma, 0
		} else if n >= 2*longest {
			cut(end)
		}
	}
	return append(out, para[begin:])
}

func endsSentence(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s)
	return strings.ContainsRune("。！？；!?;…", r)
}

// Recipe names how Text makes a clip: the same text by the same recipe is the
// same clip.
func (s Speech) Recipe() string {
	s = s.filled()
	h := sha256.New()
	for _, w := range slices.Sorted(maps.Keys(s.Words)) {
		fmt.Fprintf(h, "%s\x00%s\x00", w, s.Words[w])
	}
	return fmt.Sprintf("%s; speech 1: %q %d %s %s %s", Recipe, s.Command, s.Pace, s.Pause, s.Break, hex.EncodeToString(h.Sum(nil))[:12])
}

// Text makes a clip from a text. The clip keeps the text as it was given.
func (g *Ingester) Text(ctx context.Context, text string, meta Meta, progress Progress) (res Result, err error) {
	p := steady(progress)
	p(0)
	t := time.Now()
	s := g.Speech.filled()
	if n := utf8.RuneCountInString(text); n > s.Most {
		return Result{}, refuse("ingest.text_long", n, s.Most)
	}
	sentences := s.Sentences(text, meta.Language)
	if len(sentences) == 0 {
		return Result{}, refuse("ingest.text_empty")
	}
	ffmpeg, _, err := g.programs()
	if err != nil {
		return Result{}, err
	}
	name, err := lookPath(s.Command[0])
	if err != nil {
		return Result{}, refusal{say.M("ingest.no_speech", s.Command[0]), ErrNoProgram}
	}
	limited, cancel := context.WithTimeout(ctx, g.Limits.filled().Wall)
	defer cancel()
	wav, err := os.CreateTemp(g.TempDir, "dalaba-speech-*.wav")
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, wav.Close(), os.Remove(wav.Name())) }()
	if err := g.speak(limited, s, name, ffmpeg, sentences, wav, func(part float64) { p(40 * part) }); err != nil {
		if ctx.Err() == nil && limited.Err() != nil {
			err = refuse("ingest.slow", g.Limits.filled().Wall)
		}
		return Result{}, err
	}
	if meta.Language == "" {
		meta.Language = "zh-CN"
	}
	meta.Text = text
	if meta.Title == "" {
		meta.Title = headline(text)
	}
	var fig Figures
	fig.Spent.Speak = since(&t)
	said := slices.DeleteFunc(sentences, func(s string) bool { return s == "" })
	fig.Changes = []say.Message{say.M("ingest.spoken", len(said))}
	return g.convert(ctx, wav, func(Meta) Meta { return meta }, meta.AsIs, fig, func(percent float64) { p(40 + 0.6*percent) })
}

// headline returns the beginning of a text, for use as a title.
func headline(text string) string {
	line := strings.TrimSpace(split(strings.TrimSpace(text))[0])
	line, _, _ = strings.Cut(line, "\n")
	if r := []rune(line); len(r) > 20 {
		return string(r[:20]) + "…"
	}
	return strings.TrimRight(line, "。！？；!?;.")
}

// speak runs the program for every sentence and joins the sounds into one WAV
// file, with exactly the pauses of the settings.
func (g *Ingester) speak(ctx context.Context, s Speech, program, ffmpeg string, sentences []string, wav *os.File, progress Progress) error {
	if _, err := wav.Write(make([]byte, wavHeader)); err != nil {
		return err
	}
	args := slices.Clone(s.Command[1:])
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "{pace}", strconv.Itoa(s.Pace))
	}
	most := g.Limits.filled().Length
	var frames int64
	var pause time.Duration
	write := func(part []float32) error {
		frames += int64(len(part))
		if frames > playlist.FramesIn(most) {
			return refuse("ingest.long", playlist.Length(frames).Round(time.Second), most)
		}
		raw := make([]byte, 0, 2*len(part))
		for _, x := range part {
			raw = binary.LittleEndian.AppendUint16(raw, uint16(int16(math.Round(float64(max(-1, min(x, 1)))*32767))))
		}
		_, err := wav.Write(raw)
		return err
	}
	for i, sentence := range sentences {
		if sentence == "" {
			pause = s.Break
			continue
		}
		part, err := g.utter(ctx, ffmpeg, program, args, sentence)
		if err != nil {
			return err
		}
		if frames > 0 {
			if err := write(make([]float32, playlist.FramesIn(pause))); err != nil {
				return err
			}
		}
		if err := write(part); err != nil {
			return err
		}
		pause = s.Pause
		progress(float64(i+1) / float64(len(sentences)))
	}
	_, err := wav.WriteAt(wavHead(frames), 0)
	return err
}

// utter runs the program for one sentence and removes the silence around it.
func (g *Ingester) utter(ctx context.Context, ffmpeg, program string, args []string, sentence string) ([]float32, error) {
	out, err := os.CreateTemp(g.TempDir, "dalaba-sentence-*")
	if err != nil {
		return nil, err
	}
	defer out.Close()
	if err := os.Remove(out.Name()); err != nil { // the open file remains usable
		return nil, err
	}
	cmd, errs := g.command(ctx, nil, program, args...)
	cmd.Env = os.Environ() // the operator chose the program and may rely on the environment
	cmd.Stdin = strings.NewReader(sentence + "\n")
	cmd.Stdout = &capped{out, 64 << 20}
	if err := g.start(cmd); err != nil {
		return nil, err
	}
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, refuse("ingest.speech", &childError{err, errs.String()})
	}
	sound := &sound{src: out, ffmpeg: ffmpeg, channels: 1}
	c, err := g.decode(ctx, sound)
	if err != nil {
		return nil, err
	}
	defer c.stop()
	raw, err := io.ReadAll(io.LimitReader(c, 4*playlist.Rate*3600))
	if err != nil {
		return nil, err
	}
	if err := c.wait(); err != nil {
		return nil, refuse("ingest.speech", err)
	}
	part := make([]float32, len(raw)/4)
	for i := range part {
		part[i] = sample(raw[4*i:])
	}
	const quiet, keep = 0.003, playlist.Rate / 50
	loud := func(x float32) bool { return abs32(x) > quiet }
	first := slices.IndexFunc(part, loud)
	if first < 0 {
		return nil, refuse("ingest.unspoken", headline(sentence))
	}
	last := len(part) - 1
	for !loud(part[last]) {
		last--
	}
	return part[max(0, first-keep):min(len(part), last+1+keep)], nil
}

const wavHeader = 44

// wavHead returns the header of a mono S16 WAV file of so many frames.
func wavHead(frames int64) []byte {
	var b bytes.Buffer
	size := uint32(2 * frames)
	b.WriteString("RIFF")
	for _, v := range []any{size + wavHeader - 8, [8]byte([]byte("WAVEfmt ")), uint32(16), uint16(1), uint16(1),
		uint32(playlist.Rate), uint32(2 * playlist.Rate), uint16(2), uint16(16), [4]byte([]byte("data")), size} {
		_ = binary.Write(&b, binary.LittleEndian, v) // a Buffer never fails
	}
	return b.Bytes()
}

func abs32(x float32) float32 { return max(x, -x) }
