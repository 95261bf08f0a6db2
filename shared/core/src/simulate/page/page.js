const byId = id => document.getElementById(id);
const make = (name, attributes = {}, text) => {
  const element = document.createElementNS(byId('chart').namespaceURI, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
};
const html = (name, text, attributes = {}) => {
  const element = Object.assign(document.createElement(name), attributes);
  if (text !== undefined) element.textContent = text;
  return element;
};
const count = Math.ceil(data.minutes / data.step);
const state = { tier: 0, from: 0, size: count, at: null, shown: new Set([0, data.runs.findIndex(run => run.name === 'target tracking')]), load: true, band: true };
const colour = run => `var(--c${run % 10})`;
const when = minute => new Date((data.start + minute * 60) * 1000);
const stamp = minute => when(minute).toISOString().slice(0, 16).replace('T', ' ') + ' UTC';
const number = value => value >= 100 ? Math.round(value).toLocaleString('en') : Number(value.toPrecision(3)).toLocaleString('en');
const tier = () => data.tiers[state.tier];
const changes = run => (data.runs[run].changes || []).filter(change => change.tier === state.tier);
const needed = index => Math.max(tier().min, Math.ceil(tier().load[index] / tier().limit - 1e-9));

// The geometry of the chart, in pixels of the screen, so that text keeps its size.
function frame() {
  const box = byId('chart').getBoundingClientRect();
  const end = Math.min(count, state.from + state.size);
  const left = 38, right = 10, top = 10, bottom = 24;
  let most = 1;
  for (let i = state.from; i < end; i++) {
    if (state.load) most = Math.max(most, tier().load[i] / tier().limit);
    if (state.band && tier().high[i] !== null) most = Math.max(most, Math.min(tier().high[i] / tier().limit, tier().max * 1.2));
    for (const run of state.shown) if (run >= 0) most = Math.max(most, data.runs[run].tiers[state.tier].supply[i]);
  }
  most *= 1.06;
  const x = index => left + (index - state.from) / Math.max(1, state.size) * (box.width - left - right);
  const y = units => box.height - bottom - Math.min(units, most) / most * (box.height - top - bottom);
  return { box, end, left, right, top, bottom, most, x, y };
}

function axes(svg, f) {
  const unit = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000].find(step => f.most / step <= 6) || f.most;
  for (let units = 0; units <= f.most; units += unit) {
    svg.append(make('line', { x1: f.left, x2: f.box.width - f.right, y1: f.y(units), y2: f.y(units), stroke: 'var(--line)' }));
    svg.append(make('text', { x: f.left - 6, y: f.y(units) + 4, 'text-anchor': 'end' }, units.toLocaleString('en')));
  }
  svg.append(make('text', { x: f.left + 5, y: f.top + 9 }, 'units'));
  const minutes = state.size * data.step, room = Math.max(2, Math.floor((f.box.width - f.left) / 78));
  const every = [15, 30, 60, 180, 360, 720, 1440, 2880, 7200, 14400, 43200].find(step => minutes / step <= room) || 86400;
  const first = Math.ceil((data.start / 60 + state.from * data.step) / every) * every - data.start / 60;
  for (let minute = first; minute < f.end * data.step; minute += every) {
    const x = f.x(minute / data.step), at = when(minute).toISOString();
    if (x > f.box.width - 28) break;
    const midnight = at.slice(11, 16) === '00:00';
    const day = when(minute).toLocaleDateString('en', { timeZone: 'UTC', month: 'short', day: 'numeric' });
    svg.append(make('line', { x1: x, x2: x, y1: f.top, y2: f.box.height - f.bottom, stroke: 'var(--line)', opacity: midnight ? 1 : .6 }));
    svg.append(make('text', { x, y: f.box.height - 7, 'text-anchor': 'middle' }, midnight || every >= 1440 ? day : at.slice(11, 16)));
  }
}

function area(f, upper, lower) {
  const points = [];
  for (let i = state.from; i < f.end; i++) if (upper(i) !== null) points.push(`${f.x(i).toFixed(1)} ${f.y(upper(i)).toFixed(1)}`);
  for (let i = f.end - 1; i >= state.from; i--) if (upper(i) !== null) points.push(`${f.x(i).toFixed(1)} ${f.y(lower(i)).toFixed(1)}`);
  return points.length ? 'M' + points.join('L') + 'Z' : '';
}

function steps(f, values) {
  let path = '';
  for (let i = state.from; i < f.end; i++) path += path ? `V${f.y(values[i]).toFixed(1)}H${f.x(i + 1).toFixed(1)}` : `M${f.x(i).toFixed(1)} ${f.y(values[i]).toFixed(1)}H${f.x(i + 1).toFixed(1)}`;
  return path;
}

function draw() {
  const svg = byId('chart'), f = frame(), one = tier();
  svg.replaceChildren();
  axes(svg, f);
  if (state.shown.has(0)) {
    const short = data.runs[0].tiers[state.tier].short;
    let path = '';
    for (let i = state.from; i < f.end; i++) if (short[i]) {
      const width = Math.max((f.x(i + 1) - f.x(i)) * short[i] / data.step, 1.5);
      path += `M${f.x(i).toFixed(1)} ${f.top}V${f.box.height - f.bottom}H${(f.x(i) + width).toFixed(1)}V${f.top}Z`;
    }
    svg.append(make('path', { d: path, fill: 'var(--short)', opacity: .3 }));
  }
  if (state.band) svg.append(make('path', { d: area(f, i => one.high[i] === null ? null : one.high[i] / one.limit, i => one.low[i] / one.limit), fill: 'var(--band)', opacity: .2 }));
  if (state.load) svg.append(make('path', { d: area(f, i => one.load[i] / one.limit, () => 0), fill: 'var(--load)', opacity: .4 }));
  for (const run of [...state.shown].filter(run => run >= 0).sort((a, b) => b - a))
    svg.append(make('path', { d: steps(f, data.runs[run].tiers[state.tier].supply), fill: 'none', stroke: colour(run), 'stroke-width': run === 0 ? 2 : 1.3 }));
  const own = state.shown.has(1) && !state.shown.has(0) ? 1 : 0;
  const seen = state.shown.has(own) ? changes(own).filter(change => change.minute >= state.from * data.step && change.minute < f.end * data.step) : [];
  const near = seen.length <= f.box.width / 7;
  for (const change of seen) {
    const x = f.x(change.minute / data.step), y = f.y(change.to);
    const mark = near ? make('circle', { cx: x, cy: y, r: 3.5, fill: change.kind === 'taken_back' ? 'var(--short)' : 'var(--paper)', stroke: colour(own), 'stroke-width': 1.6 })
      : make('line', { x1: x, x2: x, y1: f.box.height - f.bottom, y2: f.box.height - f.bottom + 4, stroke: colour(own) });
    mark.append(make('title', {}, `${stamp(change.minute)}: ${change.from} to ${change.to}\n${change.why.join('\n')}`));
    svg.append(mark);
  }
  svg.append(make('line', { id: 'cross', y1: f.top, y2: f.box.height - f.bottom, stroke: 'var(--ink)', opacity: 0 }));
  cross(f);
}

function cross(f = frame()) {
  const line = byId('cross');
  if (!line) return;
  const seen = state.at !== null && state.at >= state.from * data.step && state.at <= f.end * data.step;
  line.setAttribute('opacity', seen ? .6 : 0);
  if (!seen) return;
  line.setAttribute('x1', f.x(state.at / data.step));
  line.setAttribute('x2', f.x(state.at / data.step));
}

// What was so at a minute, and what our policy last did before it.
function tell() {
  const out = byId('why');
  if (state.at === null) {
    out.replaceChildren(html('p', 'Point at the chart, tap it, or press the arrow keys on it, to see what was decided and why. Red marks minutes in which headroom was short.'));
    return;
  }
  const index = Math.min(count - 1, Math.max(0, Math.floor(state.at / data.step))), one = tier();
  const has = [...state.shown].filter(run => run >= 0).sort((a, b) => a - b).map(run => `${data.runs[run].name} ${data.runs[run].tiers[state.tier].supply[index]}`);
  const expected = one.high[index] === null ? '' : ` (${number(one.low[index])} to ${number(one.high[index])} expected)`;
  const short = state.shown.has(0) ? data.runs[0].tiers[state.tier].short[index] : 0;
  const missed = short ? `; headroom was short in ${short} of ${data.step} minutes` : '';
  const first = html('p');
  first.append(html('strong', stamp(index * data.step)), ` load ${number(one.load[index])}${expected}, needs ${needed(index)} units; ${has.join(', ') || 'no line chosen'}${missed}`);
  out.replaceChildren(first);
  const own = state.shown.has(1) && !state.shown.has(0) ? 1 : 0;
  const last = changes(own).filter(change => change.minute < (index + 1) * data.step).pop();
  if (!last) return;
  const what = last.kind === 'taken_back' ? 'rolled back' : last.kind === 'out' ? 'scaled out' : 'scaled in';
  out.append(html('p', `${stamp(last.minute)}: ${data.runs[own].name} ${what} from ${last.from} to ${last.to}, because`));
  const list = html('ul');
  for (const reason of last.why) list.append(html('li', reason));
  out.append(list);
}

function go(minute) {
  state.at = Math.min(data.minutes - 1, Math.max(0, minute));
  const index = Math.floor(state.at / data.step);
  if (index < state.from || index >= state.from + state.size) {
    state.from = Math.max(0, Math.min(count - state.size, index - Math.floor(state.size / 2)));
    byId('from').value = state.from;
    draw();
  }
  cross();
  tell();
}

function jump(way) {
  const own = state.shown.has(1) && !state.shown.has(0) ? 1 : 0, at = state.at === null ? state.from * data.step - 1 : state.at;
  const all = changes(own).map(change => change.minute);
  const found = way > 0 ? all.find(minute => minute > at) : all.filter(minute => minute < Math.floor(at / data.step) * data.step || minute < at).pop();
  if (found !== undefined) go(found);
}

function pointed(event) {
  const f = frame(), share = (event.clientX - f.box.left - f.left) / (f.box.width - f.left - f.right);
  go(Math.round((state.from + Math.min(1, Math.max(0, share)) * Math.min(state.size, count - state.from)) * data.step));
}

const columns = [['short', f => f.tau_u.toFixed(2) + ' %'], ['missing', f => f.theta_u.toFixed(2) + ' %'], ['spare', f => f.theta_o.toFixed(1) + ' %'],
  ['lost', f => f.lost.toFixed(3) + ' %'], ['cost', f => f.cost.toFixed(2) + ' ×'], ['unit-hours', f => number(f.unit_hours)],
  [data.currency, f => f.money.toFixed(2)], ['changes a day', f => f.moves.toFixed(1)]];

function table() {
  const whole = byId('tier').value === 'all', several = data.tiers.length > 1;
  const shown = whole && several ? [...columns, ['against the order', (f, t) => t.order_violations], ['bottleneck shifts', (f, t) => t.bottleneck_shifts]] : columns;
  byId('table-title').textContent = whole && several ? 'all tiers together' : tier().dimension;
  const head = html('tr');
  for (const name of ['policy', ...shown.map(column => column[0])]) head.append(html('th', name, { scope: 'col' }));
  const rows = data.runs.map((run, index) => {
    const row = html('tr', undefined, { className: index < 2 ? 'mine' : '' });
    row.append(html('th', run.name, { scope: 'row' }));
    for (const [, of] of shown) row.append(html('td', of(whole ? run.figures : run.tiers[state.tier].figures, run.together || {})));
    return row;
  });
  const [top, body] = [html('thead'), html('tbody')];
  top.append(head);
  body.append(...rows);
  byId('table').replaceChildren(top, body);
}

function legend() {
  const entry = (name, key, on, change) => {
    const label = html('label'), box = html('input', undefined, { type: 'checkbox', checked: on });
    box.addEventListener('change', () => { change(box.checked); draw(); tell(); });
    label.append(box, key, name);
    byId('legend').append(label);
  };
  const key = (background, area) => { const i = html('i', undefined, { className: area ? 'key area' : 'key' }); i.style.background = background; return i; };
  entry('units the load needs', key('var(--load)', true), true, on => { state.load = on; });
  entry('90 % of what was expected', key('var(--band)', true), true, on => { state.band = on; });
  data.runs.forEach((run, index) => entry(run.name, key(colour(index)), state.shown.has(index), on => { on ? state.shown.add(index) : state.shown.delete(index); }));
}

function controls() {
  const several = data.tiers.length > 1;
  if (several) byId('tier').add(new Option('all (chart: ' + data.tiers[data.tiers.length - 1].dimension + ')', 'all'));
  data.tiers.forEach((one, index) => byId('tier').add(new Option(one.dimension, index)));
  byId('tier-label').hidden = !several;
  state.tier = several ? data.tiers.length - 1 : 0;
  byId('tier').addEventListener('change', event => { state.tier = event.target.value === 'all' ? data.tiers.length - 1 : Number(event.target.value); draw(); tell(); table(); });
  byId('zoom').add(new Option('everything', count));
  for (const [name, minutes] of [['7 days', 10080], ['2 days', 2880], ['1 day', 1440], ['6 hours', 360]]) if (minutes < data.minutes) byId('zoom').add(new Option(name, Math.ceil(minutes / data.step)));
  const slide = () => { byId('from').max = Math.max(0, count - state.size); byId('from').disabled = state.size >= count; byId('from').value = state.from; };
  byId('zoom').addEventListener('change', event => {
    const middle = state.at === null ? state.from : Math.floor(state.at / data.step - Number(event.target.value) / 2);
    state.size = Number(event.target.value);
    state.from = Math.max(0, Math.min(count - state.size, middle));
    slide();
    draw();
  });
  byId('from').addEventListener('input', event => { state.from = Number(event.target.value); draw(); });
  byId('back').addEventListener('click', () => jump(-1));
  byId('next').addEventListener('click', () => jump(1));
  const chart = byId('chart');
  chart.addEventListener('pointermove', event => { if (event.pointerType === 'mouse' || event.buttons) pointed(event); });
  chart.addEventListener('pointerdown', pointed);
  chart.addEventListener('keydown', event => {
    const step = data.step * (event.shiftKey ? 10 : 1), at = state.at === null ? state.from * data.step : state.at;
    const moves = { ArrowLeft: () => go(at - step), ArrowRight: () => go(at + step), PageUp: () => jump(-1), PageDown: () => jump(1), Home: () => go(0), End: () => go(data.minutes - 1) };
    if (moves[event.key]) { event.preventDefault(); moves[event.key](); }
  });
  // On a phone the list of lines is longer than the chart.
  byId('lines').open = innerWidth > 640;
  new ResizeObserver(draw).observe(chart);
  slide();
}

function words() {
  const days = minutes => (minutes / 1440).toFixed(1);
  byId('title').textContent = `${data.platform}: what each policy would have supplied`;
  document.title = byId('title').textContent;
  byId('span').textContent = `${stamp(0)} to ${stamp(data.minutes)}, ${days(data.minutes)} days replayed after ${days(data.history)} days of history; a decision every ${data.cycle} minutes`;
  const ours = data.runs[0].figures, peer = data.runs.find(run => run.name === 'target tracking');
  byId('lead').textContent = `headroom was short in ${ours.tau_u.toFixed(2)} % of the minutes, at ${ours.cost.toFixed(2)} times the least possible cost` +
    (peer ? `; target tracking in ${peer.figures.tau_u.toFixed(2)} %, at ${peer.figures.cost.toFixed(2)} times.` : '.');
  byId('words').textContent = 'Short: minutes with too few units (tau). Missing and spare: units too few and too many, mean of what is needed (theta). Lost: load above what the units carry. ' +
    'Cost: against an oracle that knows the future. ' + (data.tiers.length > 1 ? 'Together, the worst tier of each minute counts. Against the order: changes while a tier they depend on was still getting units.' : '') +
    ' The phase of the platform file is no matter here: this is what would be done.';
  for (const note of data.notes) byId('notes').append(html('li', note));
}

words();
legend();
controls();
draw();
tell();
table();
