package outreach

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
	"tillpost/queue/text"
)

// A system that can do nothing but write a file puts it into a folder
// (field-notes §4.3, §4.4). What it is says its name: contacts*.csv is taken
// over into the register, bookings*.csv are bookings, everything else is a list
// to send to. NAME.txt beside NAME.csv is the text, NAME.json the options of
// the call that the file stands for.
//
// In the other direction goes who wants no more advertising (drop_optouts.go).
//
// A file that was read becomes NAME.csv.done or NAME.csv.err, and
// NAME.csv.result says row by row what became of it.

const (
	dropEvery  = 2 * time.Second
	dropStill  = 5 * time.Second // unchanged for so long: it is complete
	maxDropped = 64 << 20
	keepDrops  = 30 * 24 * time.Hour
)

// dropped is a file that was read: a power cut between the commit and the new
// name must not send it twice.
type dropped struct {
	Sum      string    `json:"sum"` // of name, time and content
	Campaign string    `json:"campaign"`
	At       time.Time `json:"at"`
}

var drops = store.NewTable("drop", func(d *dropped) []byte { return store.Str(d.Sum) })

// fileKinds are what file names begin with.
var fileKinds = map[string][]string{
	"contacts": {"contacts", "contacten", "klanten", "leden", "kontakter", "kunder", "medlemmar", "kontakte", "kunden", "mitglieder"},
	"bookings": {"bookings", "boekingen", "afspraken", "reserveringen", "bokningar", "buchungen", "termine", "events", "evenementen", "veranstaltungen"},
}

func fileKind(name string) string {
	name = strings.ToLower(name)
	for kind, words := range fileKinds {
		for _, w := range words {
			if strings.HasPrefix(name, w) {
				return kind
			}
		}
	}
	return "batch"
}

// DropOptions are NAME.json: those of the call that a file stands for. Names
// are those of the API.
type DropOptions struct {
	Kind         string            `json:"kind,omitempty"`    // contacts, bookings, batch
	Mode         string            `json:"mode,omitempty"`    // contacts: update, replace
	Columns      map[string]string `json:"columns,omitempty"` // contacts
	How          string            `json:"how,omitempty"`     // contacts: where consents come from
	AllOrNothing bool              `json:"all_or_nothing,omitempty"`

	Template   string            `json:"template,omitempty"` // batch: as POST /batches
	Texts      map[string]string `json:"texts,omitempty"`
	Subjects   map[string]string `json:"subjects,omitempty"` // of e-mail
	Channel    string            `json:"channel,omitempty"`  // sms, email
	CustomText string            `json:"custom_text,omitempty"`
	Vars       map[string]string `json:"vars,omitempty"`
	Missing    Missing           `json:"missing,omitempty"`
	Defaults   map[string]string `json:"defaults,omitempty"`
	Encoding   string            `json:"encoding,omitempty"`
	MaxParts   int               `json:"max_parts,omitempty"`
	Class      queue.Class       `json:"class,omitempty"`
	Priority   *int              `json:"priority,omitempty"`
	Pool       string            `json:"pool,omitempty"`
	Consent    Policy            `json:"consent,omitzero"`
	At         string            `json:"at,omitempty"`
	Event      string            `json:"event,omitempty"`
	EventStart string            `json:"event_start,omitempty"`
	EventEnd   string            `json:"event_end,omitempty"`
	Offset     Span              `json:"offset,omitzero"`
	Zone       string            `json:"tz,omitempty"`   // of clock times; default the shop's
	Fold       int               `json:"fold,omitempty"` // of an hour that the autumn night has twice
	Throttle   Throttle          `json:"throttle,omitzero"`
	Dedupe     *bool             `json:"dedupe,omitempty"`
	Notify     Notify            `json:"notify,omitzero"`
	ExternalID string            `json:"external_id,omitempty"`
}

// Drop watches one folder.
type Drop struct {
	o    *Outreach
	root *os.Root
	seen map[string]seenFile

	place *place // in the log, of the daily files; nil: not read yet
	noted uint64 // of it on the disk
}

type seenFile struct {
	size  int64
	mod   time.Time
	since time.Time
}

// OpenDrop opens the folder in which files are dropped; it must be there.
// Close it when Run has returned.
func (o *Outreach) OpenDrop(dir string) (*Drop, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("drop.dir: %w; make the folder, and let this user read and write it", err)
	}
	probe, err := root.OpenFile(".tillpost", os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("drop.dir: %w; let this user write into %s", err, dir), root.Close())
	}
	if err := errors.Join(probe.Close(), root.Remove(".tillpost")); err != nil {
		return nil, errors.Join(fmt.Errorf("drop.dir: %w", err), root.Close())
	}
	return &Drop{o: o, root: root, seen: map[string]seenFile{}}, nil
}

// Close lets go of the folder.
func (d *Drop) Close() error { return d.root.Close() }

// Run takes files until ctx ends.
func (d *Drop) Run(ctx context.Context) error {
	tick := time.NewTicker(dropEvery)
	defer tick.Stop()
	for {
		if err := d.look(ctx); err != nil && ctx.Err() == nil {
			d.o.log.Error("the drop folder cannot be read; trying again", "err", err)
		}
		if err := d.optOuts(ctx); err != nil && ctx.Err() == nil {
			d.o.log.Error("the daily file of opt-outs cannot be written; trying again", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// kindOrder is in which order files are taken that are dropped together: one may
// name what another brings. Within a kind it is by name.
var kindOrder = []string{"contacts", "bookings", "batch"}

// inOrder sorts the files of a folder so that they are taken in kindOrder.
func (d *Drop) inOrder(entries []fs.DirEntry) {
	rank := make(map[string]int, len(entries))
	for _, e := range entries {
		if !strings.EqualFold(ext(e.Name()), ".csv") {
			continue
		}
		kind := fileKind(e.Name())
		if opt, _, err := d.options(e.Name()); err == nil && opt.Kind != "" {
			kind = opt.Kind // what is wrong with the options is told when it is taken
		}
		rank[e.Name()] = slices.Index(kindOrder, kind)
	}
	slices.SortStableFunc(entries, func(a, b fs.DirEntry) int { return rank[a.Name()] - rank[b.Name()] })
}

// look takes the files that are complete.
func (d *Drop) look(ctx context.Context) error {
	entries, err := fs.ReadDir(d.root.FS(), ".")
	if err != nil {
		return err
	}
	here := map[string]seenFile{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue // gone again, or no file
		}
		if was, ok := d.seen[e.Name()]; ok && was.size == info.Size() && was.mod.Equal(info.ModTime()) {
			here[e.Name()] = was
		} else {
			here[e.Name()] = seenFile{info.Size(), info.ModTime(), time.Now()}
		}
	}
	d.seen = here
	d.inOrder(entries)
	for _, e := range entries {
		name := e.Name()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case old(name) && time.Since(here[name].mod) > keepDrops:
			if err := d.root.Remove(name); err != nil {
				return err
			}
		case !strings.EqualFold(ext(name), ".csv"):
		case !d.still(name) || !d.still(beside(name, ".txt")) || !d.still(beside(name, ".json")):
			return nil // what follows may stand on it, and waits
		default:
			if err := d.take(ctx, name, here[name]); err != nil {
				return err
			}
		}
	}
	return nil
}

func ext(name string) string {
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return ""
	}
	return name[i:]
}

func beside(name, with string) string { return strings.TrimSuffix(name, ext(name)) + with }

// old: it was read before.
func old(name string) bool { return slices.Contains([]string{".done", ".err", ".result"}, ext(name)) }

// still: the file has not changed for a while, or there is none.
func (d *Drop) still(name string) bool {
	f, ok := d.seen[name]
	return !ok || time.Since(f.since) >= dropStill
}

// take does what a file says, and gives it its new name. Its error is about
// the folder or the store: the file then stays and is tried again.
func (d *Drop) take(ctx context.Context, name string, info seenFile) error {
	res := &result{}
	err := d.do(ctx, name, info, res)
	if bad, ok := errors.AsType[*queue.Invalid](err); ok {
		res.add(0, "refused", "", bad.Field+": "+bad.Detail)
		res.bad = true
		err = nil
	}
	if err != nil {
		return err
	}
	end := ".done"
	if res.bad {
		end = ".err"
	}
	if err := d.write(name+".result", res.csv()); err != nil {
		return err
	}
	for _, n := range []string{beside(name, ".txt"), beside(name, ".json"), name} {
		if _, there := d.seen[n]; !there {
			continue
		}
		to := n + end
		if _, err := d.root.Stat(to); err == nil {
			to = n + "." + time.Now().UTC().Format("20060102-150405") + end
		}
		if err := d.root.Rename(n, to); err != nil {
			return err
		}
		delete(d.seen, n)
	}
	d.o.log.Info("a dropped file was read", "rows", len(res.rows), "refused", res.bad)
	return nil
}

func (d *Drop) write(name string, data []byte) error {
	f, err := d.root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func (d *Drop) read(name string) ([]byte, error) {
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxDropped+1))
	if err == nil && len(raw) > maxDropped {
		err = invalid("file", "file_too_long", "the file has more than %d MB. Divide it", maxDropped>>20)
	}
	return raw, err
}

// do reads a file and acts on it.
func (d *Drop) do(ctx context.Context, name string, info seenFile, res *result) error {
	raw, err := d.read(name)
	if err != nil {
		return err
	}
	opt, words, err := d.options(name)
	if err != nil {
		return err
	}
	f, err := ReadFile(raw)
	if err != nil {
		return err
	}
	switch kind := cmp.Or(opt.Kind, fileKind(name)); kind {
	case "contacts":
		return d.contacts(ctx, name, f, opt, res)
	case "bookings":
		return d.bookings(ctx, f, res)
	case "batch":
		sum := sha256.Sum256(slices.Concat([]byte(name+"\n"+info.mod.UTC().Format(time.RFC3339Nano)+"\n"), raw, []byte(words)))
		return d.batch(ctx, name, hex.EncodeToString(sum[:]), f, opt, words, res)
	default:
		return invalid("kind", "unknown_value", "%q is no kind of file. Use contacts, bookings or batch", kind)
	}
}

func (d *Drop) options(name string) (opt DropOptions, words string, err error) {
	if _, there := d.seen[beside(name, ".json")]; there {
		raw, err := d.read(beside(name, ".json"))
		if err != nil {
			return opt, "", err
		}
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&opt); err != nil {
			return opt, "", invalid(beside(name, ".json"), "json_invalid", "the options cannot be read: %v", err)
		}
	}
	if _, there := d.seen[beside(name, ".txt")]; there {
		raw, err := d.read(beside(name, ".txt"))
		if err != nil {
			return opt, "", err
		}
		words = strings.TrimSpace(string(bytes.TrimPrefix(raw, []byte("\uFEFF"))))
	}
	return opt, words, nil
}

func (d *Drop) contacts(ctx context.Context, name string, f *File, opt DropOptions, res *result) error {
	if opt.Mode != "" && opt.Mode != "update" && opt.Mode != "replace" {
		return invalid("mode", "unknown_value", "%q is not known here. Use update or replace", opt.Mode)
	}
	rep, err := d.o.ImportFile(ctx, f, Import{
		Replace: opt.Mode == "replace", AllOrNothing: opt.AllOrNothing, Columns: opt.Columns, How: cmp.Or(opt.How, "file "+name), By: "drop",
		Refused: func(e RowError) { res.add(e.Row, "refused", "", e.Field+": "+e.Detail) },
		Warned:  func(e RowError) { res.add(e.Row, "warning", "", e.Field+": "+e.Detail) },
	})
	if err != nil {
		return err
	}
	res.byRow()
	res.bad = rep.Refused > 0 && rep.Added+rep.Changed+rep.Same == 0
	res.add(0, "read", "", fmt.Sprintf("%d rows: %d added, %d changed, %d as they were, %d removed, %d refused", rep.Rows, rep.Added, rep.Changed, rep.Same, rep.Removed, rep.Refused))
	return nil
}

func (d *Drop) batch(ctx context.Context, name, sum string, f *File, opt DropOptions, words string, res *result) error {
	var before *dropped
	err := d.o.db.View(func(tx *store.Tx) (err error) {
		before, err = drops.Get(tx, store.Str(sum))
		return err
	})
	if err != nil {
		return err
	}
	if before != nil {
		res.add(0, "accepted", before.Campaign, "it was read before the power went away")
		return nil
	}
	list, own, err := f.Recipients(opt.Channel)
	if err != nil {
		return err
	}
	c := Campaign{
		Channel: opt.Channel, Subjects: opt.Subjects, Template: opt.Template, Texts: opt.Texts, CustomText: opt.CustomText, Vars: opt.Vars, Missing: opt.Missing, Defaults: opt.Defaults,
		Encoding: opt.Encoding, MaxParts: opt.MaxParts, Class: opt.Class, Priority: opt.Priority, Pool: opt.Pool, Consent: opt.Consent, Throttle: opt.Throttle, Dedupe: opt.Dedupe, Notify: opt.Notify,
		ExternalID: cmp.Or(opt.ExternalID, name), When: When{Event: opt.Event, Offset: opt.Offset},
	}
	zone := d.o.cfg.Location
	if opt.Zone != "" {
		if zone, err = time.LoadLocation(opt.Zone); err != nil {
			return invalid("tz", "unknown_value", "%q is no time zone. Write continent and city, such as Europe/Amsterdam", opt.Zone)
		}
	}
	for _, t := range []struct {
		field, value string
		into         *time.Time
	}{{"at", opt.At, &c.When.At}, {"event_start", opt.EventStart, &c.When.EventStart}, {"event_end", opt.EventEnd, &c.When.EventEnd}} {
		if t.value == "" {
			continue
		}
		if *t.into, err = Moment(t.field, t.value, opt.Fold, zone); err != nil {
			return err
		}
	}
	switch {
	case words != "" && (c.Template != "" || len(c.Texts) > 0):
		return invalid("text", "one_of_two", "the text is there twice, in the .txt and in the .json. Keep one of them")
	case words != "":
		c.Texts = map[string]string{d.o.cfg.Language: words}
	case c.Template == "" && len(c.Texts) == 0 && own:
		c.Texts, c.Dedupe = OwnTexts(d.o.cfg.Language, &c.Class, c.Dedupe)
	}
	got := map[string]int{}
	started, err := d.o.batch(ctx, c, list, opt.AllOrNothing, "drop", func(tx *store.Tx, c *Campaign) error {
		return drops.Put(tx, &dropped{Sum: sum, Campaign: c.Name, At: d.o.q.Now()})
	}, func(e rowOf) {
		got[e.state]++
		res.add(e.Row, e.state, "", e.Field+": "+e.Detail)
	})
	res.byRow()
	if err != nil {
		return err
	}
	res.add(0, "accepted", started.Campaign.Name, fmt.Sprintf("%d recipients, %d merged, %d left out, %d refused", started.Campaign.Recipients, got["merged"], got["left out"], got["refused"]))
	for _, w := range started.Warnings {
		res.add(0, "warning", started.Campaign.Name, w)
	}
	return nil
}

// result is what is told about a file, row by row.
type result struct {
	rows [][]string
	at   []int // of each the row that it is about; 0: the file
	bad  bool
}

func (r *result) add(row int, state, id, detail string) {
	line := ""
	if row > 0 {
		line = strconv.Itoa(row)
	}
	r.rows, r.at = append(r.rows, []string{line, state, id, strings.TrimPrefix(detail, ": ")}), append(r.at, row)
}

// byRow puts what was told so far into the order of the file.
func (r *result) byRow() { sort.Stable(r) }

func (r *result) Len() int           { return len(r.rows) }
func (r *result) Less(i, j int) bool { return r.at[i] < r.at[j] }
func (r *result) Swap(i, j int) {
	r.rows[i], r.rows[j] = r.rows[j], r.rows[i]
	r.at[i], r.at[j] = r.at[j], r.at[i]
}

func (r *result) csv() []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Comma = ';'
	_ = w.Write([]string{"row", "state", "id", "detail"}) // a buffer takes everything
	_ = w.WriteAll(r.rows)
	return b.Bytes()
}

// digitsOf leaves out what people write between digits: 06-12 34 56 78.
func digitsOf(raw []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if strings.ContainsRune(" -()./", r) {
			return -1
		}
		return r
	}, raw)
}

// holds says whether a file has a number, however it is written, or an e-mail
// address.
func holds(raw []byte, number string) bool {
	if text.IsAddress(number) {
		return bytes.Contains(bytes.ToLower(raw), []byte(number))
	}
	return bytes.Contains(digitsOf(raw), []byte(number[max(0, len(number)-8):]))
}

// Forget removes the files that were read and in which a number or an e-mail
// address stands, and returns how many they were.
func (d *Drop) Forget(_ context.Context, number string) (n int, err error) {
	entries, err := fs.ReadDir(d.root.FS(), ".")
	if err != nil {
		return n, err
	}
	for _, e := range entries {
		if !old(e.Name()) {
			continue
		}
		if isOptOuts(e.Name()) {
			in, err := d.forgetRows(e.Name(), number)
			if n += in; err != nil {
				return n, err
			}
			continue
		}
		raw, err := d.read(e.Name())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return n, err
		}
		if holds(raw, number) {
			if err := d.root.Remove(e.Name()); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
}
