package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"dalaba/playlist/say"

	"golang.org/x/sys/unix"
)

// source is the name by which a child opens its file, which is passed to it
// open: no file name from outside reaches a command line.
const source = "file:/proc/self/fd/3"

// formats are the containers that ffmpeg may open: those that hold sound; not
// those that name other files or addresses (concat, hls, dash, image2, lavfi,
// sdp), nor those that are recognised only by guessing.
const formats = "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,loas,matroska,mov,mp3," +
	"mpc,mpc8,mpeg,mpegts,oga,ogg,opus,rm,tta,voc,w64,wav,wv"

// input returns the arguments that open the source safely.
func input() []string {
	return []string{"-protocol_whitelist", "file", "-format_whitelist", formats, "-i", source}
}

// child is a running program whose standard output is read.
type child struct {
	cmd  *exec.Cmd
	out  io.ReadCloser
	tail *tail
	name string
}

// command prepares a program: no shell, no terminal, its own process group that
// is killed with the context, the source as file 3.
func (g *Ingester) command(ctx context.Context, src *os.File, name string, args ...string) (*exec.Cmd, *tail) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "AV_LOG_FORCE_NOCOLOR=1"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	if src != nil {
		cmd.ExtraFiles = []*os.File{src}
	}
	errs := &tail{}
	cmd.Stderr = errs
	return cmd, errs
}

// How much higher the nice value of children is than that of this program, see
// nice(2): the player comes first, then the sound of an alert, then imports.
const (
	niceUrgent = 5
	niceImport = 10
	niceMost   = 19
)

// Urgent returns the same ingester for the sound of an alert: its programs have
// priority over those of an import, but not over this program.
func (g *Ingester) Urgent() *Ingester {
	u := *g
	u.urgent = true
	return &u
}

// nice returns the nice value for a child of this thread.
func (g *Ingester) nice() (int, error) {
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	more := niceImport
	if g.urgent {
		more = niceUrgent
	}
	return min(max(20-raw, 0)+more, niceMost), err // Linux returns 20 minus the nice value
}

// begin starts a program with its priority and its bounds set from its first
// instruction: a child inherits those of the thread that starts it. A thread may not
// widen its own again, so this thread ends with its goroutine.
func (g *Ingester) begin(cmd *exec.Cmd) error {
	begun := make(chan error)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() { // the main thread cannot end: use another
			err := g.begin(cmd)
			runtime.UnlockOSThread()
			begun <- err
			return
		}
		nice, err := g.nice()
		if err == nil {
			err = unix.Setpriority(unix.PRIO_PROCESS, 0, nice)
		}
		if err == nil {
			err = confine()
		}
		if err == nil {
			err = cmd.Start()
		}
		begun <- err
	}()
	return <-begun
}

// start runs a prepared program under limits.
func (g *Ingester) start(cmd *exec.Cmd) error {
	if err := g.begin(cmd); err != nil {
		return err
	}
	l := g.Limits.filled()
	for what, most := range map[int]uint64{
		unix.RLIMIT_AS:     uint64(l.Memory),
		unix.RLIMIT_CPU:    l.cpu(),
		unix.RLIMIT_FSIZE:  64 << 20, // they write to pipes; but a speech program's sound library makes shared memory, which counts
		unix.RLIMIT_CORE:   0,
		unix.RLIMIT_NOFILE: 64,
	} {
		err := unix.Prlimit(cmd.Process.Pid, what, &unix.Rlimit{Cur: most, Max: most}, nil)
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return errors.Join(fmt.Errorf("limit %s: %w", cmd.Path, err), cmd.Cancel(), ignoreKilled(cmd.Wait()))
		}
	}
	return nil
}

// cpu returns the processor time that a child may use, in seconds: that of all
// cores within the wall time, rounded up. With a limit of 0 the kernel would
// kill the child at once, and its file would look unreadable.
func (l Limits) cpu() uint64 {
	return uint64(math.Ceil(l.Wall.Seconds())) * uint64(runtime.NumCPU())
}

func ignoreKilled(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}

// open starts a program whose output is read from the child.
func (g *Ingester) open(ctx context.Context, src *os.File, name string, args ...string) (*child, error) {
	return g.openWith(ctx, []*os.File{src}, name, args...)
}

// openWith is open for a program that gets more files than the source, as file
// 4 and so on.
func (g *Ingester) openWith(ctx context.Context, files []*os.File, name string, args ...string) (*child, error) {
	cmd, errs := g.command(ctx, nil, name, args...)
	cmd.ExtraFiles = files
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := g.start(cmd); err != nil {
		return nil, err
	}
	return &child{cmd: cmd, out: out, tail: errs, name: name}, nil
}

func (c *child) Read(p []byte) (int, error) { return c.out.Read(p) }

// stop kills the child and waits for it.
func (c *child) stop() {
	if c.cmd.ProcessState != nil {
		return
	}
	_ = c.cmd.Cancel() // an error means that it has ended
	_ = c.cmd.Wait()   // the error is that it was killed
}

// wait waits until the child has ended, after its output has been read.
func (c *child) wait() error {
	if err := c.cmd.Wait(); err != nil {
		return &childError{err: err, stderr: c.tail.String()}
	}
	return nil
}

// childError is the failure of a child, with the end of its error output.
type childError struct {
	err    error
	stderr string
}

func (e *childError) Unwrap() error { return e.err }

func (e *childError) Error() string {
	if e.stderr == "" {
		return e.err.Error()
	}
	return e.err.Error() + ": " + e.stderr
}

// tail keeps the end of what is written to it and counts the lines that tell of
// a fault of the source.
type tail struct {
	buf    []byte
	faults int

	line   []byte // the present one, as far as it is written
	fault  bool   // the line before was one
	missed bool   // the line before was "Header missing"
}

const tailSize = 2000

func (t *tail) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		t.line = append(t.line, line[:min(len(line), tailSize-min(len(t.line), tailSize))]...)
		if whole {
			t.count(string(t.line))
			t.line = t.line[:0]
		}
		rest = after
	}
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - tailSize; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

// count counts a line of ffmpeg's if it tells of a fault of the source. What
// comes from the side that writes is none: it complains of times that go back if
// files were joined. "Header missing" says that something else than a frame is
// there, such as a tag between two joined files: walkFrames looks at that. The
// line after it says so again.
func (t *tail) count(line string) {
	switch {
	case strings.HasPrefix(strings.TrimSpace(line), "Last message repeated"):
	case ofWriting.MatchString(line):
		t.fault = false
		return
	case strings.HasSuffix(line, "] Header missing"):
		t.fault, t.missed = false, true
		return
	case t.missed && ofPacket.MatchString(line):
		t.fault, t.missed = false, false
		return
	default:
		t.fault, t.missed = true, false
	}
	if t.fault {
		t.faults++
	}
}

var (
	ofWriting = regexp.MustCompile(`^\[(f32le|framecrc|out#|[ao]?ost#|enc|[af]f?#|fc#|SWR|swr|auto_|Parsed_|abuffer|aformat|format)|to muxer|the muxer|av_interleaved_write_frame`)
	ofPacket  = regexp.MustCompile(`Error (while decoding stream|submitting packet to decoder)`)
)

// String returns the last line with a cause in it, short enough for a message:
// ffmpeg ends with the file's name and a word or two, and gives the cause in
// the line before.
func (t *tail) String() string {
	lines := strings.Split(strings.TrimSpace(strings.ToValidUTF8(string(t.buf), "?")), "\n")
	last := strings.TrimPrefix(lines[len(lines)-1], source+": ")
	if n := len(lines); n > 1 && strings.HasPrefix(lines[n-1], source) {
		last = origin.ReplaceAllString(lines[n-2], "")
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, last))
}

// origin is the component of ffmpeg that wrote a line, such as "[mp3 @ 0x55dc]
// ".
var origin = regexp.MustCompile(`^\[[^]]*\] `)

// capped writes at most so many bytes.
type capped struct {
	w    io.Writer
	left int64
}

func (c *capped) Write(p []byte) (int, error) {
	if int64(len(p)) > c.left {
		return 0, errTooMuch
	}
	n, err := c.w.Write(p)
	c.left -= int64(n)
	return n, err
}

var errTooMuch = errors.New("more output than allowed")

// byFFmpeg is what ffmpeg said last: in English in its own words, which other
// languages do not repeat.
type byFFmpeg string

// ffmpegWords are parts of what ffmpeg says, and the keys of what they mean.
var ffmpegWords = []struct{ part, key string }{
	{"moov atom not found", "ingest.ffmpeg_moov"},
	{"nvalid data found", "ingest.ffmpeg_invalid"},
	{"End of file", "ingest.ffmpeg_end"},
	{"Decoder not found", "ingest.ffmpeg_codec"},
	{"ot supported", "ingest.ffmpeg_codec"},
	{"could not find codec", "ingest.ffmpeg_codec"},
	{"encrypted", "ingest.ffmpeg_secret"},
}

// In puts it into a language.
func (b byFFmpeg) In(l say.Lang) string {
	if l == say.English {
		return string(b)
	}
	for _, w := range ffmpegWords {
		if strings.Contains(string(b), w.part) {
			return say.M(w.key).In(l)
		}
	}
	return say.M("ingest.ffmpeg_other").In(l)
}
