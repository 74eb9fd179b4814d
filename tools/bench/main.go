// Command bench measures what the design promises, each figure beside a peer
// that does the same job in the same run: lateness of the first frame and of
// one that preempts, underruns, the cost of asking the schedule, time from
// start and from a crash to ready, what airing costs the machine, ingest, and a
// county with thousands of controllers, and one under attack. It is a tool for
// developers.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // the schedule is in the sites' zone
)

// Figure is one measured figure and the peer's in the same run. Less is better,
// except for speeds, whose unit is xRT (times real time), /s or MB/s.
type Figure struct {
	Name      string  `json:"name"`
	Value     float64 `json:"value"`
	Unit      string  `json:"unit"`
	Peer      string  `json:"peer"`
	PeerValue float64 `json:"peer_value"`
	Ratio     float64 `json:"ratio"`   // value / peer_value
	Samples   int     `json:"samples"` // how many Value was computed from
}

func figure(name string, value float64, unit, peer string, peerValue float64, samples int) Figure {
	f := Figure{Name: name, Value: value, Unit: unit, Peer: peer, PeerValue: peerValue, Samples: samples}
	if peerValue != 0 {
		f.Ratio = value / peerValue
	}
	return f
}

// bench is one run.
type bench struct {
	short  bool
	dir    string // for all files of the run; deleted at the end
	root   string // the module's folder
	dalaba string // the program under test; empty: built when first needed
	plugin string // plugin of the virtual cards; empty: built when first needed
	log    io.Writer

	controllers int // at the county; 0: 5,000
}

// group is a set of figures that are measured together.
type group struct {
	name    string
	about   string
	measure func(*bench, context.Context) ([]Figure, error)
}

var groups = []group{
	{"due", "what fell due, asked each second, with 10,000 slots", (*bench).due},
	{"next", "the next airing among 1,000 and 10,000 slots", (*bench).next},
	{"plan", "a plan of 7 days with 10,000 slots", (*bench).plan},
	{"late", "the first frame against the due instant", (*bench).late},
	{"preempt", "the first frame of a higher rank against the order for it", (*bench).preempt},
	{"underruns", "underruns while every core is busy", (*bench).underruns},
	{"start", "start to ready with 10,000 slots and 1,000,000 rows", (*bench).start},
	{"recovery", "kill -9 to ready", (*bench).recovery},
	{"air", "processor and memory while airing", (*bench).air},
	{"wear", "what a day of 50 airings writes to the flash", (*bench).wear},
	{"ingest", "a recording of ten minutes made into a clip", (*bench).ingest},
	{"county", "a county with 5,000 controllers", (*bench).county},
	{"attack", "what has to work while strangers attack a county", (*bench).attack},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// limit is the longest time a whole run may take.
const limit = 45 * time.Minute

func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	fail := func(err error) int {
		fmt.Fprintln(errOut, "bench:", err)
		return 1
	}
	var names []string
	for _, g := range groups {
		names = append(names, g.name)
	}
	b := &bench{log: errOut}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(errOut)
	file := flags.String("o", "build/bench.json", "write the figures to this file")
	only := flags.String("only", "", "measure only these, by comma: "+strings.Join(names, ","))
	flags.BoolVar(&b.short, "short", false, "measure less of everything, to see that it works")
	flags.IntVar(&b.controllers, "controllers", 0, "so many at the county (default 5000; with -short 50)")
	flags.StringVar(&b.dalaba, "dalaba", "", "the program to measure (default: built from the tree)")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	wanted := names
	if *only != "" {
		wanted = strings.Split(*only, ",")
	}
	for _, w := range wanted {
		if !slices.Contains(names, w) {
			return fail(fmt.Errorf("no figures named %q; there are %s", w, strings.Join(names, ", ")))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var err error
	if b.root, err = moduleRoot(ctx); err != nil {
		return fail(err)
	}
	if b.dir, err = os.MkdirTemp("", "dalaba-bench-"); err != nil {
		return fail(err)
	}
	defer os.RemoveAll(b.dir)
	if err := os.Setenv("RUNTIME_DIRECTORY", filepath.Join(b.dir, "run")); err != nil { // for control sockets
		return fail(err)
	}
	figures, err := b.measure(ctx, wanted, out)
	if err := write(*file, figures); err != nil {
		return fail(err)
	}
	if err != nil {
		return fail(err)
	}
	return 0
}

// measure runs the groups wanted. If one fails the others are still measured.
func (b *bench) measure(ctx context.Context, wanted []string, out io.Writer) ([]Figure, error) {
	figures, faults := []Figure{}, []error{}
	for _, g := range groups {
		if !slices.Contains(wanted, g.name) {
			continue
		}
		began := time.Now()
		fmt.Fprintf(b.log, "# %s: %s\n", g.name, g.about)
		got, err := g.measure(b, ctx)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", g.name, err))
		}
		for _, f := range got {
			fmt.Fprintln(out, f)
		}
		figures = append(figures, got...)
		fmt.Fprintf(b.log, "# %s took %.0f s\n", g.name, time.Since(began).Seconds())
	}
	return figures, errors.Join(faults...)
}

// String returns the figure as a line of text.
func (f Figure) String() string {
	return fmt.Sprintf("%-54s %10s %-3s | %10s %-3s %-44s | ratio %-8s n=%d",
		f.Name, number(f.Value), f.Unit, number(f.PeerValue), f.Unit, f.Peer, number(f.Ratio), f.Samples)
}

// number formats a value with three significant digits.
func number(v float64) string {
	if v == 0 {
		return "0"
	}
	digits := 2 - int(math.Floor(math.Log10(math.Abs(v))))
	return fmt.Sprintf("%.*f", max(0, digits), v)
}

func write(file string, figures []Figure) error {
	text, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

func moduleRoot(ctx context.Context) (string, error) {
	said, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	mod := strings.TrimSpace(string(said))
	if mod == "" || mod == os.DevNull {
		return "", errors.New("not within the module; start it from the source tree")
	}
	return filepath.Dir(mod), nil
}

// program returns the path of the program under test.
func (b *bench) program(ctx context.Context) (string, error) {
	if b.dalaba != "" {
		return b.dalaba, nil
	}
	bin := filepath.Join(b.dir, "dalaba")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", bin, "./cmd/dalaba")
	build.Dir = b.root
	if said, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/dalaba: %w\n%s", err, said)
	}
	b.dalaba = bin
	return bin, nil
}

// quantile returns the smallest value that at least the q-th part of all do not
// exceed.
func quantile(all []float64, q float64) float64 {
	if len(all) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

func median(all []float64) float64 { return quantile(all, 0.5) }

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// timed runs f n times and returns how long each took, in milliseconds.
func timed(n int, f func()) []float64 {
	all := make([]float64, 0, n)
	for range n {
		began := time.Now()
		f()
		all = append(all, millis(time.Since(began)))
	}
	return all
}
