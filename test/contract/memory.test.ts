import { memoryDevice } from '../../src/io/memory.js';
import { deviceContract } from './device-contract.js';

deviceContract('memory', (bytes) => Promise.resolve(memoryDevice(bytes)));
