package webui

import (
	"bytes"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"strconv"
	"strings"

	svg "github.com/ajstarks/svgo"

	"tillpost/webui/tally"
)

func itoa(n uint64) string { return strconv.FormatUint(n, 10) }

// chartView is the day by the hour, drawn twice: text in a scaled drawing
// becomes unreadable on a telephone.
type chartView struct {
	Wide, Narrow template.HTML
	Says         string // the finding, not the picture
}

func (p *page) chart(day *tally.Day) chartView {
	says := p.finding(day)
	return chartView{Wide: p.traffic(day, wide, says), Narrow: p.traffic(day, narrow, says), Says: says}
}

// finding is what the chart shows, for who cannot see it.
func (p *page) finding(day *tally.Day) string {
	busiest, most := 0, 0
	for h, hour := range day.Hours {
		if n := hour[tally.Delivered] + hour[tally.Sent]; n > most {
			busiest, most = h, n
		}
	}
	failed := day.Sum(tally.Failed) + day.Sum(tally.Undelivered)
	if most == 0 && failed == 0 {
		return p.T("chart_empty")
	}
	return p.T("chart_says", "delivered", day.Sum(tally.Delivered), "sent", day.Sum(tally.Sent), "failed", failed,
		"hour", fmt.Sprintf("%d:00", busiest), "most", most)
}

// frame of a drawing, in its own units.
type frame struct {
	id    string // prefix of the ids in it
	class string
	width int
	every int // hours between two labels
}

var (
	wide   = frame{"cw", "chart wide", 800, 1}
	narrow = frame{"cn", "chart narrow", 342, 2}
)

const (
	chartHeight = 256
	chartTop    = 24
	chartBase   = 192 // what went well stands on it, what went wrong hangs below
	chartLeft   = 32
	chartRight  = 8
	chartBelow  = 40 // room for what hangs
)

// traffic draws one frame. Its colours come from the style sheet by class:
// svgo pastes what it is given as an attribute, so only constants go in there.
func (p *page) traffic(day *tally.Day, f frame, says string) template.HTML {
	first, last := openHours(day, p.in(p.Now).Hour())
	most := 1
	for _, h := range day.Hours {
		most = max(most, h[tally.Delivered]+h[tally.Sent])
	}
	step := niceStep(most)
	top := (most + step - 1) / step * step
	up := func(n int) int { return pixels(n, chartBase-chartTop, top) }
	down := func(n int) int { return min(up(n), chartBelow) } // the same measure, as far as there is room
	column := (f.width - chartLeft - chartRight) / (last - first)

	var buf bytes.Buffer
	c := svg.New(&buf)
	c.Title(p.T("chart_title"))
	c.Desc(says)
	for n := step; n <= top; n += step {
		c.Line(chartLeft, chartBase-up(n), f.width-chartRight, chartBase-up(n), `class="grid"`)
		c.Text(chartLeft-8, chartBase-up(n)+4, strconv.Itoa(n), `text-anchor="end"`)
	}
	for h := first; h < last; h++ {
		x, n := chartLeft+(h-first)*column, day.Hours[h]
		if (h-first)%f.every == 0 {
			c.Text(x, chartHeight-8, fmt.Sprintf("%02d", h), `text-anchor="middle"`)
		}
		p.column(c, x, column, n, up, down)
	}
	c.Line(chartLeft, chartBase, f.width-chartRight, chartBase, `class="axis"`)
	now := p.in(p.Now)
	x := chartLeft + (now.Hour()-first)*column + column*now.Minute()/60
	c.Line(x, chartTop, x, chartBase, `class="nowline"`)
	c.End()
	return p.inline(buf.String(), f)
}

// column draws one hour.
func (p *page) column(c *svg.SVG, x, width int, n tally.Hour, up, down func(int) int) {
	side := width / 6
	x, width = x+side, width-2*side
	delivered, sent, failed := n[tally.Delivered], n[tally.Sent], n[tally.Failed]+n[tally.Undelivered]
	at := chartBase
	if delivered > 0 {
		at -= up(delivered)
		c.Rect(x, at, width, up(delivered), `class="d"`)
	}
	if sent > 0 {
		at -= up(sent) + 2
		c.Rect(x+1, at, width-2, up(sent), `class="s"`)
	}
	if delivered+sent > 0 {
		c.Text(x+width/2, at-6, strconv.Itoa(delivered+sent), `class="hi"`, `text-anchor="middle"`)
	}
	if failed > 0 {
		c.Rect(x, chartBase+2, width, down(failed), `class="f"`)
		c.Text(x+width/2, chartBase+2+down(failed)+12, strconv.Itoa(failed), `class="hi"`, `text-anchor="middle"`)
	}
}

// pixels for n of most in room; one in a thousand still gets three.
func pixels(n, room, most int) int {
	if n == 0 {
		return 0
	}
	return max(3, n*room/most)
}

// openHours are the hours to show: 8 to 20, and whatever lies around them.
func openHours(day *tally.Day, now int) (first, last int) {
	first, last = min(8, now), max(20, now+1)
	for h, n := range day.Hours {
		if n != (tally.Hour{}) {
			first, last = min(first, h), max(last, h+1)
		}
	}
	return first, last
}

// niceStep is 1, 2 or 5 times a power of ten, for two to five lines.
func niceStep(most int) int {
	for step := 1; ; step *= 10 {
		for _, n := range []int{step, 2 * step, 5 * step} {
			if most <= 5*n {
				return n
			}
		}
	}
}

// inline turns what svgo drew into an element of a page: its prolog is left
// out (nothing was begun with Start), title and description get ids.
func (p *page) inline(drawn string, f frame) template.HTML {
	drawn = strings.Replace(drawn, "<title>", `<title id="`+f.id+`t">`, 1)
	drawn = strings.Replace(drawn, "<desc>", `<desc id="`+f.id+`d">`, 1)
	head := fmt.Sprintf(`<svg class="%s" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-labelledby="%st %sd">`,
		f.class, f.width, chartHeight, f.id, f.id)
	return template.HTML(head + drawn)
}

// trafficChart is the same drawing on its own, for a wall display. It takes the
// page's style sheet, so it obeys the same policy.
func (s *Site) trafficChart(w http.ResponseWriter, r *http.Request) {
	p := s.page(r, "")
	day := s.tally.Today()
	s.sendChart(w, p.chart(&day).Wide)
}

func (s *Site) sendChart(w http.ResponseWriter, drawn template.HTML) {
	h := w.Header()
	h.Set("Content-Type", "image/svg+xml")
	h.Set("Cache-Control", "no-store")
	body := `<?xml-stylesheet type="text/css" href="` + template.HTMLEscapeString(asset("tillpost.css")) + `"?>` + "\n" + string(drawn)
	_, _ = io.WriteString(w, body) // fails when the display has gone
}
