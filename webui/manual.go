package webui

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"net/http"
	"slices"
	"strings"
	"sync"

	"tillpost/queue"
	"tillpost/webui/lamp"
)

// The manual in the box. Its text is a table, so that somebody who knows the
// language can check it beside the others; the page of failures is made from
// the queue's own sentences, so that it cannot say anything else than the lamp.

//go:embed manual/manual.csv
var manualCSV []byte

// failures.csv says which chapter of the failures a code of the queue is in.
//
//go:embed manual/failures.csv
var failuresCSV []byte

// outreach.csv says what the box offers programs that write to customers, and
// which test proves it; a test in cmd/tillpostd holds it against the tests.
//
//go:embed manual/outreach.csv
var offersCSV []byte

// manualPages in the order in which they are named. The last two are made of
// outreach.csv and failures.csv.
var manualPages = []string{"managers", "customers", "technicians", "tills", "outreach", "failures"}

// block is a piece of the manual: a heading, a paragraph, or what is typed.
type block struct {
	Kind string // h | p | pre
	ID   string // of a heading that pages lead to
	Text string
}

type manualBook struct {
	pages    map[string][]map[string]block // by page and language
	codes    []string                      // of failures, in their order
	chapters map[string]string             // of a code
	offers   []offersView
}

// offersView is what is offered to one kind of business. It is in English, as
// the tests are.
type offersView struct {
	Name   string // a key, without its prefix
	Offers []offerView
}

type offerView struct{ Says, Test string }

var book = sync.OnceValue(func() *manualBook {
	b := &manualBook{pages: map[string][]map[string]block{}, chapters: map[string]string{}}
	for _, row := range table(manualCSV)[1:] {
		said := map[string]block{}
		kind, id, _ := strings.Cut(row[1], ":")
		for i, lang := range queue.Languages {
			text := row[2+i]
			if text == "" { // what is typed is the same everywhere
				text = row[2]
			}
			said[lang] = block{Kind: kind, ID: id, Text: text}
		}
		b.pages[row[0]] = append(b.pages[row[0]], said)
	}
	for _, row := range table(offersCSV)[1:] {
		name := strings.NewReplacer(" ", "_", "-", "_").Replace(row[0])
		if len(b.offers) == 0 || b.offers[len(b.offers)-1].Name != name {
			b.offers = append(b.offers, offersView{Name: name})
		}
		last := &b.offers[len(b.offers)-1]
		last.Offers = append(last.Offers, offerView{Says: row[1], Test: row[2]})
	}
	for _, row := range table(failuresCSV)[1:] {
		b.codes = append(b.codes, row[0])
		b.chapters[row[0]] = row[1]
	}
	return b
})

// table reads a file that is compiled in, and read by a test.
func table(file []byte) [][]string {
	rows, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
	if err != nil {
		panic("manual: " + err.Error())
	}
	return rows
}

// help is where the manual says more about a code; empty: nowhere.
func (p *page) help(code string) string {
	if _, ok := book().chapters[code]; !ok {
		return ""
	}
	return "/manual/failures#" + code
}

// manualView is one page of the manual.
type manualView struct {
	*page
	At       string
	Pages    []string
	Blocks   []block
	Chapters []chapterView
	Offers   []offersView
}

type chapterView struct {
	Name, Lead string
	Failures   []failureView
}

type failureView struct {
	Code, Sign, Text string
}

func (s *Site) manual(w http.ResponseWriter, r *http.Request) {
	keepLanguage(w, r)
	at := r.PathValue("at")
	if at == "" {
		at = manualPages[0]
	}
	if !slices.Contains(manualPages, at) {
		s.nothing(w, r)
		return
	}
	v := &manualView{page: s.page(r, "manual"), At: at, Pages: manualPages}
	v.Path = "/manual/" + at
	v.Live, v.Lamp = "strip", v.lamp(lamp.Look(s.queue, s.db))
	for _, said := range book().pages[at] {
		v.Blocks = append(v.Blocks, said[v.Lang])
	}
	switch at {
	case "failures":
		v.Chapters = v.failures()
	case "outreach":
		v.Offers = book().offers
	}
	s.render(w, http.StatusOK, "manual", v)
}

// blanks stand for what is not known before it happens.
var blanks = map[string]string{"n": "…", "k": "…", "time": "…", "number": "…"}

// signOfLamp is the road sign for a colour of the queue's table; a message's
// fate is good to know.
var signOfLamp = map[string]string{"green": "ok", "amber": "warn", "red": "stop", "info": "info", "message": "line"}

func (p *page) failures() []chapterView {
	var all []chapterView
	for _, code := range book().codes {
		name := book().chapters[code]
		if len(all) == 0 || all[len(all)-1].Name != p.T("ch_"+name) {
			all = append(all, chapterView{Name: p.T("ch_" + name), Lead: p.T("ch_" + name + "_text")})
		}
		last := &all[len(all)-1]
		last.Failures = append(last.Failures, failureView{Code: code, Sign: signOfLamp[queue.Lamp(code)], Text: queue.Words(code, p.Lang, blanks)})
	}
	return all
}
