#!/usr/bin/env node
require('../dist/cli/qsnap-img/qsnap-img.cjs');
