//go:build cgo && !noalsa

package devices

/*
#cgo LDFLAGS: -lasound
#include <alsa/asoundlib.h>
#include <poll.h>
#include <stdlib.h>

static void say_nothing(const char *file, int line, const char *function, int err, const char *fmt, ...)
{
	(void)file, (void)line, (void)function, (void)err, (void)fmt;
}

// libasound writes what it stumbles over to stderr; we return it as errors.
static void be_quiet(void)
{
	snd_lib_error_set_handler(say_nothing);
}

#define TRY(call) if ((err = (call)) < 0) return err

static int setup(snd_pcm_t *h, unsigned rate, unsigned *channels, snd_pcm_uframes_t *period, snd_pcm_uframes_t *ring)
{
	snd_pcm_hw_params_t *hw;
	snd_pcm_sw_params_t *sw;
	int err;
	snd_pcm_hw_params_alloca(&hw);
	snd_pcm_sw_params_alloca(&sw);
	TRY(snd_pcm_hw_params_any(h, hw));
	TRY(snd_pcm_hw_params_set_access(h, hw, SND_PCM_ACCESS_RW_INTERLEAVED));
	TRY(snd_pcm_hw_params_set_format(h, hw, SND_PCM_FORMAT_S16));
	*channels = 1;
	if (snd_pcm_hw_params_set_channels(h, hw, 1) < 0) {
		*channels = 2;
		TRY(snd_pcm_hw_params_set_channels(h, hw, 2));
	}
	TRY(snd_pcm_hw_params_set_rate(h, hw, rate, 0));
	TRY(snd_pcm_hw_params_set_period_size_near(h, hw, period, NULL));
	TRY(snd_pcm_hw_params_set_buffer_size_near(h, hw, ring));
	TRY(snd_pcm_hw_params(h, hw));
	TRY(snd_pcm_hw_params_get_period_size(hw, period, NULL));
	TRY(snd_pcm_hw_params_get_buffer_size(hw, ring));
	TRY(snd_pcm_sw_params_current(h, sw));
	TRY(snd_pcm_sw_params_set_start_threshold(h, sw, *period));
	TRY(snd_pcm_sw_params_set_avail_min(h, sw, *period));
	TRY(snd_pcm_sw_params_set_tstamp_mode(h, sw, SND_PCM_TSTAMP_ENABLE));
	TRY(snd_pcm_sw_params_set_tstamp_type(h, sw, SND_PCM_TSTAMP_TYPE_MONOTONIC));
	return snd_pcm_sw_params(h, sw);
}

static int measure(snd_pcm_t *h, int *state, long *avail, long *delay, long long *ns)
{
	snd_pcm_status_t *s;
	snd_htimestamp_t at;
	int err;
	snd_pcm_status_alloca(&s);
	TRY(snd_pcm_status(h, s));
	snd_pcm_status_get_htstamp(s, &at);
	*state = snd_pcm_status_get_state(s);
	*avail = snd_pcm_status_get_avail(s);
	*delay = snd_pcm_status_get_delay(s);
	*ns = at.tv_sec * 1000000000LL + at.tv_nsec;
	return 0;
}

// snd_pcm_wait begins its time anew whenever the card ticks without making
// room, so a stalled one could hold it for ever.
static int await_tick(snd_pcm_t *h, int ms)
{
	struct pollfd p[16];
	unsigned short events;
	int n = snd_pcm_poll_descriptors_count(h), r;
	if (n <= 0 || n > 16)
		return -EINVAL;
	if ((n = snd_pcm_poll_descriptors(h, p, n)) < 0)
		return n;
	r = poll(p, n, ms);
	if (r > 0)
		snd_pcm_poll_descriptors_revents(h, p, n, &events);
	return 0;
}
*/
import "C"

import (
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"dalaba/playlist"
)

var quiet = sync.OnceFunc(func() { C.be_quiet() })

// errno converts a result of libasound to an error; nil for 0 and above.
func errno[T ~int32 | ~int64](r T) error {
	if r >= 0 {
		return nil
	}
	return syscall.Errno(-r)
}

// pcm is one open ALSA PCM, 48 kHz S16, that never blocks. Its errors are of
// type syscall.Errno.
type pcm struct {
	h        *C.snd_pcm_t
	channels int
	period   int
	ring     int
	buf      []int16
}

func openPCM(name string) (*pcm, error) {
	quiet()
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	p := &pcm{}
	if err := errno(C.snd_pcm_open(&p.h, n, C.SND_PCM_STREAM_PLAYBACK, C.SND_PCM_NONBLOCK)); err != nil {
		return nil, err
	}
	var channels C.uint
	period, ring := C.snd_pcm_uframes_t(Period), C.snd_pcm_uframes_t(Ring)
	if err := errno(C.setup(p.h, playlist.Rate, &channels, &period, &ring)); err != nil {
		C.snd_pcm_close(p.h)
		return nil, err
	}
	p.channels, p.period, p.ring = int(channels), int(period), int(ring)
	return p, nil
}

// write queues as many frames as there is room for.
func (p *pcm) write(frames []int16) (int, error) {
	if p.channels > 1 {
		p.buf = p.buf[:0]
		for _, s := range frames {
			p.buf = append(p.buf, s, s)
		}
		frames = p.buf
	}
	n := C.snd_pcm_writei(p.h, unsafe.Pointer(&frames[0]), C.snd_pcm_uframes_t(len(frames)/p.channels))
	if n < 0 {
		return 0, errno(int64(n))
	}
	return int(n), nil
}

// wait returns at the card's next tick, or after d.
func (p *pcm) wait(d time.Duration) error {
	return errno(C.await_tick(p.h, C.int(d.Milliseconds())))
}

// The states of a PCM that matter here.
const (
	prepared     = C.SND_PCM_STATE_PREPARED
	running      = C.SND_PCM_STATE_RUNNING
	xrun         = C.SND_PCM_STATE_XRUN
	suspended    = C.SND_PCM_STATE_SUSPENDED
	disconnected = C.SND_PCM_STATE_DISCONNECTED
)

// status is the state of a PCM at an instant.
type status struct {
	state int
	delay int64     // frames until the next one written will sound
	empty int64     // free frames in the ring
	at    time.Time // the instant
}

func (p *pcm) status() (status, error) {
	var state C.int
	var avail, delay C.long
	var ns C.longlong
	if err := errno(C.measure(p.h, &state, &avail, &delay, &ns)); err != nil {
		return status{}, err
	}
	var mono unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono); err != nil {
		return status{}, err
	}
	now := time.Now()
	// The timestamp is that of the ring's last move. A driver that knows more
	// than its ring, as for USB, gives the delay as of now, and a driver
	// without timestamps returns zero.
	age := time.Duration(mono.Nano() - int64(ns))
	if ns == 0 || age < 0 || age > time.Second || int(delay) != p.ring-int(avail) {
		age = 0
	}
	return status{int(state), int64(delay), int64(avail), now.Add(-age)}, nil
}

func (p *pcm) prepare() error { return errno(C.snd_pcm_prepare(p.h)) }
func (p *pcm) resume() error  { return errno(C.snd_pcm_resume(p.h)) }
func (p *pcm) drop() error    { return errno(C.snd_pcm_drop(p.h)) }

func (p *pcm) close() error {
	C.snd_pcm_drop(p.h)
	return errno(C.snd_pcm_close(p.h))
}
