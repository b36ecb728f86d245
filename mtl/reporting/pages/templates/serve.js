'use strict';
// Whatever a text holds is put into the page as text, never as markup.
const at = id => document.getElementById(id);
const lines = id => at(id).value.split('\n').map(one => one.trim()).filter(Boolean);
const percent = share => (100 * share).toFixed(1) + '%';
let models = [], keeps = false, busy = null;

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.filter(child => child !== null));
  return element;
}

function say(text, wrong) {
  at('status').textContent = text;
  at('status').classList.toggle('is-error', Boolean(wrong));
}

// ---------------------------------------------------------------- requests

function headers() {
  const found = {'Content-Type': 'application/json'};
  if (at('key').value) found.Authorization = 'Bearer ' + at('key').value;
  return found;
}

async function failure(response) {
  try { return (await response.json()).error.message; } catch { return `status ${response.status}`; }
}

async function load() {
  const response = await fetch('/v1/models', {headers: headers()});
  at('key-field').hidden = response.status !== 401 && !at('key').value;
  if (!response.ok) { say(await failure(response), true); return; }
  const found = await response.json();
  models = found.models; keeps = found.corrections;
  at('model').replaceChildren(...models.map(one => make('option', {}, one.name)));
  at('model-field').hidden = models.length < 2;
  say('');
  show();
}

const chosen = () => models.find(one => one.name === at('model').value) || models[0];
const ticked = () => [...document.querySelectorAll('#tasks input:checked')].map(one => one.value);

function show() {
  const tasks = chosen().tasks;
  const boxes = tasks.map(task => make('label', {},
    make('input', {type: 'checkbox', value: task.name, checked: true, onchange: fields}), task.name));
  at('tasks').replaceChildren(make('legend', {}, 'Tasks'), ...boxes);
  fields();
}

function fields() {
  const reads = new Set(chosen().tasks.filter(t => ticked().includes(t.name)).flatMap(t => t.reads));
  for (const role of ['question', 'second', 'choices', 'instruction']) {
    at(role + '-field').hidden = !reads.has(role);
  }
}

function body() {
  const given = {texts: at('text').value};
  if (models.length > 1) given.model = chosen().name;
  const names = ticked();
  const unasked = id => at(id + '-field').hidden;
  if (!unasked('question')) given.questions = lines('questions');
  if (!unasked('second') && at('second').value.trim()) given.seconds = [at('second').value];
  if (!unasked('choices')) given.choices = lines('choices');
  if (!unasked('instruction') && at('instruction').value) given.instruction = at('instruction').value;
  const lacking = task =>
    (task.reads.includes('question') && !given.questions.length) ||
    (task.reads.includes('second') && !given.seconds) ||
    (task.reads.includes('choices') && given.choices.length < 2);
  const able = chosen().tasks.filter(task => names.includes(task.name) && !lacking(task));
  if (able.length < chosen().tasks.length) given.tasks = able.map(task => task.name);
  for (const [key, role] of [['questions', 'question'], ['choices', 'choices']]) {
    if (given[key] && !able.some(task => task.reads.includes(role))) delete given[key];
  }
  return given;
}

async function ask(event) {
  event?.preventDefault();
  if (!models.length) { await load(); if (!models.length) return; }
  const given = body();
  if (given.tasks && !given.tasks.length) {
    say('Choose a task, and write what it asks for: a question, a second text or choices.', true);
    return;
  }
  busy?.abort();
  const own = busy = new AbortController();
  at('go').disabled = true;
  say('Answering…');
  const panels = begin(given);
  try {
    const response = await fetch('/v1/predict', {
      method: 'POST', headers: headers(), signal: own.signal,
      body: JSON.stringify({...given, stream: true}),
    });
    if (!response.ok) {
      if (response.status === 401) at('key-field').hidden = false;
      throw new Error(await failure(response));
    }
    await follow(response.body.getReader(), panels, given);
    say('Done.');
  } catch (error) {
    if (own.signal.aborted) return;
    at('results').replaceChildren();
    say(error.message, true);
  } finally {
    if (busy === own) at('go').disabled = false;
  }
}

async function follow(reader, panels, given) {
  const decoder = new TextDecoder();
  let rest = '', whole = false;
  for (;;) {
    const {done, value} = await reader.read();
    if (done) break;
    const blocks = (rest + decoder.decode(value, {stream: true})).split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) {
      const [kind, data] = block.split('\n');
      const values = JSON.parse(data.slice('data: '.length));
      if (kind === 'event: piece') panels[values.task]?.piece(values.number, values.piece);
      if (kind === 'event: answer') panels[values.task]?.answer(values.number, values.answer, given);
      if (kind === 'event: error') throw new Error(values.error.message);
      whole ||= kind === 'event: done';
    }
  }
  if (!whole) throw new Error('The server ended before the answer did. Ask again.');
}

// ---------------------------------------------------------------- answers

function begin(given) {
  const tasks = chosen().tasks.filter(task => !given.tasks || given.tasks.includes(task.name));
  const panels = {};
  at('results').replaceChildren(...tasks.map(task => {
    const parts = make('div', {});
    panels[task.name] = panel(task, parts);
    return make('section', {class: 'result', 'data-task': task.name}, make('h3', {}, task.name), parts);
  }));
  return panels;
}

function panel(task, parts) {
  const texts = [], answers = [];
  return {
    piece(number, piece) {
      if (!texts[number]) parts.append(texts[number] = make('p', {class: 'written', 'aria-busy': 'true'}));
      texts[number].append(piece);
    },
    answer(number, answer, given) {
      answers[number] = answer;
      if ('n_best' in answer) {
        parts.replaceChildren(...spans(task, answers.filter(Boolean), given));
        return;
      }
      const drawn = draw(task, answer, given);
      if (texts[number]) { texts[number].replaceWith(drawn); texts[number] = drawn; }
      else parts.append(drawn);
    },
  };
}

function draw(task, answer, given) {
  if (answer.entities) return entities(task, answer.entities, given);
  if (answer.words) return wordlist(answer.words);
  if (answer.probabilities) return bars(task, answer, given);
  if ('value' in answer) return make('p', {}, make('b', {}, String(answer.value)));
  if ('text' in answer) return written(task, answer, given);
  return make('pre', {}, JSON.stringify(answer, null, 2));
}

// Parts of a text that lie within each other are drawn so; those that cross are in the list alone.
function marked(text, found, kinds = []) {
  const sorted = found.map((one, number) => ({...one, number}))
    .filter(one => one.start !== null && one.end > one.start)
    .sort((a, b) => a.start - b.start || b.end - a.end);
  const points = [...text];  // Characters as the server counts them, not halves of them.
  let next = 0;
  const within = (from, to) => {
    const nodes = [];
    while (next < sorted.length && sorted[next].start < to) {
      const one = sorted[next++];
      if (one.start < from || one.end > to) continue;
      nodes.push(points.slice(from, one.start).join(''));
      nodes.push(make('mark', {class: `kind-${kinds.indexOf(one.tag) % 5}`}, ...within(one.start, one.end), ' ', make('span', {class: 'tag'}, one.tag)));
      from = one.end;
    }
    nodes.push(points.slice(from, to).join(''));
    return nodes;
  };
  return make('p', {class: 'source'}, ...within(0, points.length));
}

function entities(task, found, given) {
  let own = found.map(one => ({...one}));
  const source = make('div', {}), shown = make('ul', {class: 'entities'}), edited = make('ul', {class: 'entities'});
  const redraw = () => {
    source.replaceChildren(marked(given.texts, own.map(one => ({...one, tag: one.label})), task.labels));
    shown.replaceChildren(...own.map(one => make('li', {}, make('b', {}, one.text), one.label,
      make('span', {class: 'dim'}, 'score' in one ? percent(one.score) : 'added'))));
    if (!own.length) shown.append(make('li', {class: 'dim'}, 'None found.'));
    edited.replaceChildren(...own.map(item));
  };
  const item = one => make('li', {}, make('b', {}, one.text),
    select(task.labels, one.label, `Label of ${one.text}`, label => {
      own = own.map(other => (other === one ? {...one, label} : other)); redraw(); }),
    make('button', {type: 'button', 'aria-label': `Remove ${one.text}`, onclick: () => {
      own = own.filter(other => other !== one); say(`Removed ${one.text}.`); redraw(); }}, 'Remove'));
  const words = make('input', {'aria-label': 'Words of the text to add'});
  const label = select(task.labels, task.labels[0], 'Their label', () => {});
  document.addEventListener('selectionchange', () => {
    const picked = getSelection();
    if (source.contains(picked.anchorNode) && String(picked).trim()) words.value = String(picked).trim();
  });
  const add = make('button', {type: 'button', onclick: () => {
    const place = given.texts.indexOf(words.value);
    if (!words.value || place < 0) { say('These words do not stand in the text.', true); return; }
    const start = [...given.texts.slice(0, place)].length;
    const end = start + [...words.value].length;
    own = [...own, {text: words.value, label: label.value, start, end}].sort((a, b) => a.start - b.start);
    say(`Added ${words.value}.`);
    redraw();
  }}, 'Add');
  redraw();
  const row = () => ({text: given.texts, spans: own.map(({start, end, label}) => ({start, end, label}))});
  return make('div', {}, source, shown, !keeps ? null :
    correction([edited, make('span', {class: 'add'}, make('label', {}, 'Add ', words), label, add)], row));
}

function select(options, value, name, change) {
  const known = options.includes(value) ? options : [value, ...options];
  const found = make('select', {'aria-label': name, onchange: () => change(found.value)},
    ...known.map(one => make('option', {selected: one === value}, one)));
  return found;
}

function wordlist(words) {
  return make('p', {class: 'source'}, ...words.flatMap(word =>
    [make('mark', {}, word.text, ' ', make('span', {class: 'tag'}, word.label)), ' ']));
}

function bars(task, answer, given) {
  const several = Array.isArray(answer.probabilities);
  const shares = several ? answer.probabilities.map((share, n) => [given.choices[n], share])
    : Object.entries(answer.probabilities).sort((a, b) => b[1] - a[1]);
  const right = several ? [answer.choice] : answer.labels || [answer.label];
  const table = make('div', {class: 'bars', role: 'list'});
  for (const [name, share] of shares) {
    const bar = make('div', {class: 'share'});
    bar.style.width = percent(share);
    const held = right.includes(name);
    table.append(make('div', {class: held ? 'chosen' : '', role: 'listitem',
      'aria-label': `${name}: ${percent(share)}${held ? ', chosen' : ''}`}, (held ? '✓ ' : '') + name),
    make('div', {class: 'track', 'aria-hidden': 'true'}, bar), make('div', {'aria-hidden': 'true'}, percent(share)));
  }
  const box = make('div', {}, table);
  if (keeps && 'label' in answer && !several && task.labels.length) {
    const label = select(task.labels, answer.label, `Right label of ${task.name}`, () => {});
    const row = () => ({text: given.texts, ...beside(task, given), label: label.value});
    box.append(correction([make('label', {}, 'Right label ', label)], row));
  }
  return box;
}

function spans(task, found, given) {
  const tags = found.map((one, number) => ({...one, tag: `answer ${number + 1}`}));
  const list = make('dl', {class: 'answers'}, ...found.flatMap((one, number) => [
    make('dt', {}, `${number + 1}. ${one.question}`),
    make('dd', {}, one.answer || 'The text does not say.', ' ',
      make('span', {class: 'dim'}, percent(one.score)))]));
  const box = [marked(given.texts, tags), list];
  for (const one of keeps ? found : []) {
    const answer = make('input', {value: one.answer});
    box.push(correction([make('label', {}, `Right answer to “${one.question}” `, answer)], () => {
      const start = given.texts.indexOf(answer.value);
      if (answer.value && start < 0) throw new Error('This answer does not stand in the text.');
      const place = [...given.texts.slice(0, start)].length;
      const answers = answer.value ? [{text: answer.value, start: place}] : [];
      return {text: given.texts, question: one.question, answers};
    }));
  }
  return box;
}

function written(task, answer, given) {
  const box = make('div', {}, make('p', {class: 'written'}, answer.text));
  if (keeps) {
    const text = make('textarea', {rows: '2'});
    text.value = answer.text;
    box.append(correction([make('label', {class: 'field'}, make('b', {}, 'Right text'), text)],
      () => ({text: given.texts, ...beside(task, given), target: text.value})));
  }
  return box;
}

// ---------------------------------------------------------------- corrections

function beside(task, given) {
  const found = {};
  if (task.reads.includes('question')) found.question = given.questions[0];
  if (task.reads.includes('second')) found.second = given.seconds[0];
  if (task.reads.includes('instruction')) found.instruction = given.instruction;
  return found;
}

function correction(parts, row) {
  const form = make('form', {onsubmit: async event => {
    event.preventDefault();
    const task = form.closest('.result').dataset.task;
    try {
      const sent = JSON.stringify({model: chosen().name, task, row: row()});
      const response = await fetch('/v1/corrections', {method: 'POST', headers: headers(), body: sent});
      if (!response.ok) throw new Error(await failure(response));
      say(`Kept in ${(await response.json()).file}.`);
    } catch (error) { say(error.message, true); }
  }}, ...parts, make('button', {type: 'submit'}, 'Keep as right'));
  return make('details', {class: 'correct'}, make('summary', {}, 'Correct'), form);
}

// ---------------------------------------------------------------- the request as code

const quoted = text => "'" + text.replaceAll("'", "'\\''") + "'";

function literal(value) {
  if (value === null) return 'None';
  if (Array.isArray(value)) return '[' + value.map(literal).join(', ') + ']';
  if (typeof value === 'object') {
    return '{' + Object.entries(value).map(([key, one]) => JSON.stringify(key) + ': ' + literal(one)).join(', ') + '}';
  }
  return typeof value === 'boolean' ? (value ? 'True' : 'False') : JSON.stringify(value);
}

function asCurl() {
  const key = at('key').value ? ' \\\n  -H "Authorization: Bearer $MTL_API_KEY"' : '';
  return `curl ${location.origin}/v1/predict -H 'Content-Type: application/json'${key} \\\n  -d ${quoted(JSON.stringify(body()))}`;
}

function asPython() {
  const key = at('key').value;
  return [key ? 'import os\n\nimport httpx\n' : 'import httpx\n', `body = ${literal(body())}`,
    key ? 'headers = {"Authorization": f"Bearer {os.environ[\'MTL_API_KEY\']}"}' : 'headers = {}',
    `answer = httpx.post("${location.origin}/v1/predict", json=body, headers=headers, timeout=60)`,
    'print(answer.raise_for_status().json()["results"])'].join('\n');
}

async function copy(text, what) {
  at('code').textContent = text;
  at('code').hidden = false;
  try {
    await navigator.clipboard.writeText(text);
    say(`Copied as ${what}.`);
  } catch { say(`The request as ${what} stands below.`); at('code').focus(); }
}

at('ask').addEventListener('submit', ask);
at('model').addEventListener('change', () => { at('results').replaceChildren(); show(); });
at('key').addEventListener('change', load);
at('curl').addEventListener('click', () => copy(asCurl(), 'curl'));
at('python').addEventListener('click', () => copy(asPython(), 'Python'));
at('ask').addEventListener('keydown', event => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) ask(event);
});
load().catch(error => say(error.message, true));
