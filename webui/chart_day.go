package webui

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	svg "github.com/ajstarks/svgo"

	"tillpost/queue"
	"tillpost/webui/pulse"
)

// Charts of the last 24 hours beside the day's traffic: the length of the line,
// the signal of each modem, and how long messages took to the telephone.

const dayPieces = 96 // of a quarter of an hour

// scale of a line chart: what stands at its foot and at its top.
type scale struct{ low, high int }

// sparkline draws values into a small frame, with gaps where nothing was
// known. Its words are for who cannot see it.
func sparkline(id, title, says string, values []int, sc scale) template.HTML {
	const width, height = 240, 40
	var buf bytes.Buffer
	c := svg.New(&buf)
	c.Title(title)
	c.Desc(says)
	at := func(i, v int) (x, y int) {
		return i * width / max(len(values)-1, 1), height - (min(max(v, sc.low), sc.high)-sc.low)*(height-4)/max(sc.high-sc.low, 1) - 2
	}
	runs(values, func(from, to int) {
		xs, ys := make([]int, 0, to-from), make([]int, 0, to-from)
		for i := from; i < to; i++ {
			x, y := at(i, values[i])
			xs, ys = append(xs, x), append(ys, y)
		}
		if len(xs) == 1 {
			c.Circle(xs[0], ys[0], 2, `class="dot"`)
			return
		}
		c.Polyline(xs, ys, `class="lineg"`)
	})
	if last := len(values) - 1; last >= 0 && values[last] != pulse.Unknown {
		x, y := at(last, values[last])
		c.Circle(min(x, width-3), y, 3, `class="dot"`)
	}
	c.End()
	return titled(buf.String(), id, fmt.Sprintf(`class="spark" viewBox="0 0 %d %d" preserveAspectRatio="none"`, width, height))
}

// runs calls fn for each row of values that are known.
func runs(values []int, fn func(from, to int)) {
	for i := 0; i < len(values); {
		if values[i] == pulse.Unknown {
			i++
			continue
		}
		from := i
		for i < len(values) && values[i] != pulse.Unknown {
			i++
		}
		fn(from, i)
	}
}

// titled is inline for any frame: attributes are ours, ids come from id.
func titled(drawn, id, attributes string) template.HTML {
	drawn = strings.Replace(drawn, "<title>", `<title id="`+id+`t">`, 1)
	drawn = strings.Replace(drawn, "<desc>", `<desc id="`+id+`d">`, 1)
	return template.HTML(fmt.Sprintf(`<svg %s xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="%st %sd">`, attributes, id, id) + drawn)
}

// signalDay is the signal of a modem over the day; empty before there is any.
func (p *page) signalDay(name string, n int) template.HTML {
	values := p.site.pulse.Signal(name, dayPieces)
	worst, known := 0, false
	for _, v := range values {
		if v != pulse.Unknown && v < worst {
			worst, known = v, true
		}
	}
	if !known {
		return ""
	}
	_, word := air(&worst)
	// −113 and −51 dBm are the ends of CSQ (3GPP TS 27.007 §8.5).
	return sparkline("sg"+strconv.Itoa(n), p.T("chart_signal"), p.T("chart_signal_says", "word", p.T(word), "n", worst), values, scale{-113, -51})
}

// depthDay is the length of the line over the day.
func (p *page) depthDay() template.HTML {
	values := p.site.pulse.Depth(dayPieces)
	most, at, known := 0, 0, false
	for i, v := range values {
		if v == pulse.Unknown {
			continue
		}
		if known = true; v >= most {
			most, at = v, i
		}
	}
	says := p.T("chart_depth_empty")
	if known && most > 0 {
		says = p.T("chart_depth_says", "n", most, "time", p.Clock(p.Now.Add(-time.Duration(dayPieces-at)*15*time.Minute)))
	}
	var buf bytes.Buffer
	c := svg.New(&buf)
	c.Title(p.T("chart_depth"))
	c.Desc(says)
	const width, top, base, left = 400, 16, 112, 40
	step := niceStep(max(most, 1))
	high := (max(most, 1) + step - 1) / step * step
	up := func(n int) int { return n * (base - top) / high }
	for n := step; n <= high; n += step {
		c.Line(left, base-up(n), width, base-up(n), `class="grid"`)
		c.Text(left-8, base-up(n)+4, strconv.Itoa(n), `text-anchor="end"`)
	}
	x := func(i int) int { return left + i*(width-left)/(dayPieces-1) }
	runs(values, func(from, to int) {
		xs, ys := []int{x(from)}, []int{base}
		for i := from; i < to; i++ {
			xs, ys = append(xs, x(i)), append(ys, base-up(values[i]))
		}
		c.Polygon(append(xs, x(to-1)), append(ys, base), `class="ink"`)
	})
	c.Line(left, base, width, base, `class="axis"`)
	for i := range 4 {
		then := p.in(p.Now).Add(-time.Duration(24-6*i) * time.Hour)
		c.Text(x(i*dayPieces/4), base+20, then.Format("15:04"), `text-anchor="middle"`)
	}
	c.End()
	return titled(buf.String(), "dp", fmt.Sprintf(`class="chart" viewBox="0 0 %d %d"`, width, base+28))
}

// reach counts how long messages took from being accepted to the telephone.
type reach struct {
	mu    sync.Mutex
	at    time.Time // when it was counted
	count []int
}

// reachSteps are the ends of the columns; a last one has all that took longer.
var reachSteps = []struct {
	until time.Duration
	word  string
}{
	{5 * time.Second, "5 s"}, {15 * time.Second, "15 s"}, {time.Minute, "1 min"}, {5 * time.Minute, "5 min"}, {time.Hour, "1 h"}, {1 << 62, ">"},
}

const (
	reachLook  = 300              // newest messages that are looked at
	reachFresh = 15 * time.Second // a count is good for so long
)

func (s *Site) reached() ([]int, error) {
	s.reach.mu.Lock()
	defer s.reach.mu.Unlock()
	if s.reach.count != nil && time.Since(s.reach.at) < reachFresh {
		return s.reach.count, nil
	}
	list, _, err := s.queue.List(queue.Filter{Limit: reachLook})
	if err != nil {
		return nil, err
	}
	count := make([]int, len(reachSteps))
	for _, m := range list {
		if m.State != queue.Delivered {
			continue
		}
		begun := m.Created
		if m.At.After(begun) {
			begun = m.At // it was planned
		}
		took := m.Updated.Sub(begun)
		for i, step := range reachSteps {
			if took <= step.until {
				count[i]++
				break
			}
		}
	}
	s.reach.count, s.reach.at = count, time.Now()
	return count, nil
}

// reachDay draws it.
func (p *page) reachDay() (template.HTML, error) {
	count, err := p.site.reached()
	if err != nil {
		return "", err
	}
	all, quick, most := 0, 0, 1
	for i, n := range count {
		all, most = all+n, max(most, n)
		if i < 2 {
			quick += n
		}
	}
	says := p.T("chart_reach_empty")
	if all > 0 {
		says = p.T("chart_reach_says", "n", all, "quick", quick)
	}
	var buf bytes.Buffer
	c := svg.New(&buf)
	c.Title(p.T("chart_reach"))
	c.Desc(says)
	const width, top, base, left = 400, 24, 112, 8
	column := (width - left) / len(count)
	for i, n := range count {
		x := left + i*column
		if n > 0 {
			h := pixels(n, base-top, most)
			c.Rect(x+8, base-h, column-16, h, `class="ink"`)
			c.Text(x+column/2, base-h-6, strconv.Itoa(n), `class="hi"`, `text-anchor="middle"`)
		}
		word := reachSteps[i].word
		if i == len(count)-1 {
			word = p.T("longer")
		}
		c.Text(x+column/2, base+20, word, `text-anchor="middle"`)
	}
	c.Line(left, base, width, base, `class="axis"`)
	c.End()
	return titled(buf.String(), "rc", fmt.Sprintf(`class="chart" viewBox="0 0 %d %d"`, width, base+28)), nil
}

// dayChart serves one of them on its own, as trafficChart does.
func (s *Site) dayChart(w http.ResponseWriter, r *http.Request) {
	p := s.page(r, "")
	var drawn template.HTML
	var err error
	name, way := strings.TrimSuffix(r.PathValue("name"), ".svg"), r.PathValue("way")
	switch {
	case way != "":
		way = strings.TrimSuffix(way, ".svg")
		if _, err = s.info(way); err != nil {
			s.nothing(w, r)
			return
		}
		if drawn = p.signalDay(way, 0); drawn == "" {
			drawn = sparkline("sg0", p.T("chart_signal"), p.T("signal_unknown"), nil, scale{-113, -51})
		}
	case name == "queue":
		drawn = p.depthDay()
	case name == "delivery":
		drawn, err = p.reachDay()
	default:
		s.nothing(w, r)
		return
	}
	if err != nil {
		s.trouble(w, p, err)
		return
	}
	s.sendChart(w, drawn)
}
